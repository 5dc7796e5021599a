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
