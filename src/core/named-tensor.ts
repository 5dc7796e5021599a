import type { Shape } from "./shape.ts";

/** A named float32 array on the host, as files hold them. */
export interface NamedTensor {
  readonly name: string;
  /** Row-major; [] is a scalar. */
  readonly shape: Shape;
  readonly data: Float32Array;
}
