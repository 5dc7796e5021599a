import type { Shape } from "./shape.ts";

/** A float32 array on the host with a name, as in a file. */
export interface NamedTensor {
  readonly name: string;
  /** Dimensions in row-major order; [] is a scalar. */
  readonly shape: Shape;
  readonly data: Float32Array;
}

/** A tensor with values that are read only when they are written to a file, so the host never holds the whole model. */
export interface LazyTensor extends Omit<NamedTensor, "data"> {
  /** The values in row-major order. The number of values is the number of elements of `shape`. */
  readonly read: () => Promise<Float32Array>;
}

/**
 * A tensor of a file. The tensor is read in parts on demand, so the whole file or the whole tensor is never in memory.
 * The shape and the position of the tensor were checked against the length of the file.
 */
export interface StoredTensor {
  readonly name: string;
  /** Dimensions in row-major order. A vector [n] is one row of n elements. */
  readonly shape: Shape;
  /** Number of bytes in the file. Used to report progress. */
  readonly bytes: number;
  /** Reads rows `first` to `first + count − 1` as float32 into a new array, in row-major order. */
  readonly readRows: (first: number, count: number) => Promise<Float32Array>;
  /**
   * Reads rows as quantized blocks, without converting them, and returns the name of the block format. Absent if the
   * file does not store this tensor in blocks.
   */
  readonly blocks?: {
    /** As `Q4_K`. */
    readonly form: string;
    /**
     * Reads rows `first` to `first + count − 1`. If `into` is long enough, the result is a part of `into`; otherwise it
     * is a new array.
     */
    readonly read: (first: number, count: number, into?: Uint8Array) => Promise<Uint8Array>;
  };
  /** Reads rows as bfloat16 words into a new array. Absent if the file does not store this tensor as bfloat16. */
  readonly readWords?: (first: number, count: number) => Promise<Uint16Array>;
}
