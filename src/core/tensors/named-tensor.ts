import type { Shape } from "./shape.ts";

/** A float32 array with a name, on the host, as files store it. */
export interface NamedTensor {
  readonly name: string;
  /** Row-major; [] is a scalar. */
  readonly shape: Shape;
  readonly data: Float32Array;
}

/** A tensor whose values are read only when they are written to a file, so the host never holds the whole model. */
export interface LazyTensor extends Omit<NamedTensor, "data"> {
  /** Row-major, with the number of elements of `shape`. */
  readonly read: () => Promise<Float32Array>;
}

/**
 * A tensor of a file that is read in parts on demand, so neither the whole file nor the whole tensor is ever in memory.
 * The shape and the position of the tensor were checked against the length of the file.
 */
export interface StoredTensor {
  readonly name: string;
  /** Row-major; a vector [n] is one row of n. */
  readonly shape: Shape;
  /** Number of bytes in the file, for progress. */
  readonly bytes: number;
  /** Reads rows `first` to `first + count − 1` as float32: row-major, a new array. */
  readonly readRows: (first: number, count: number) => Promise<Float32Array>;
  /**
   * Reads rows in their quantized blocks, with the name of the block format. Absent if the file does not store this
   * tensor in blocks.
   */
  readonly blocks?: {
    /** As `Q4_K`. */
    readonly form: string;
    /**
     * Rows `first` to `first + count − 1`. If `into` is long enough, the result is a part of `into`; otherwise it is a
     * new array.
     */
    readonly read: (first: number, count: number, into?: Uint8Array) => Promise<Uint8Array>;
  };
  /** Reads rows as bfloat16 words, a new array. Absent if the file does not store this tensor as bfloat16. */
  readonly readWords?: (first: number, count: number) => Promise<Uint16Array>;
}
