import type { Shape } from "./shape.ts";

/** A named float32 array on the host, as files hold them. */
export interface NamedTensor {
  readonly name: string;
  /** Row-major; [] is a scalar. */
  readonly shape: Shape;
  readonly data: Float32Array;
}

/** A tensor whose values are read when they are written, so that not all of a model is on the host at one time. */
export interface LazyTensor extends Omit<NamedTensor, "data"> {
  /** Row-major, as many as `shape` says. */
  readonly read: () => Promise<Float32Array>;
}
