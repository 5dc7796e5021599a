import type { Shape } from "./shape.ts";

/** A named float32 array on the host, as files hold them. */
export interface NamedTensor {
  readonly name: string;
  /** Row-major; [] is a scalar. */
  readonly shape: Shape;
  readonly data: Float32Array;
}

/** A tensor whose values are read when they are written to a file: the host never holds the whole model. */
export interface LazyTensor extends Omit<NamedTensor, "data"> {
  /** Row-major, with the length of `shape`. */
  readonly read: () => Promise<Float32Array>;
}

/**
 * A tensor of a file, read part by part when it is needed: neither the file nor the tensor is ever in memory as a whole.
 * Its facts have been checked against the file's length.
 */
export interface StoredTensor {
  readonly name: string;
  /** Row-major; a vector [n] is one row of n. */
  readonly shape: Shape;
  /** Bytes that it takes in the file, for progress. */
  readonly bytes: number;
  /** Rows `first` to `first + count − 1`, widened to float32: row-major, a new array. */
  readonly readRows: (first: number, count: number) => Promise<Float32Array>;
  /** The same rows in blocks of few bits, and the name of their form, where the file has those. */
  readonly blocks?: {
    /** As `Q4_K`. */
    readonly form: string;
    /**
     * Rows `first` to `first + count − 1`: a new array, or a part of `into` if that is long enough.
     */
    readonly read: (first: number, count: number, into?: Uint8Array) => Promise<Uint8Array>;
  };
  /** The same rows as words of bfloat16, where the file has those; a new array too. */
  readonly readWords?: (first: number, count: number) => Promise<Uint16Array>;
}
