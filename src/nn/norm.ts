import type { Context } from "../autograd/context.ts";
import type { Tensor } from "../autograd/tensor.ts";
import type { DType } from "../core/tensors/dtype.ts";
import { layerNorm } from "../ops/layer-norm.ts";
import { rmsNorm } from "../ops/rms-norm.ts";
import type { Declare, Initialisation } from "./parameters.ts";

/** A norm of a branch, or the norm before the head. */
export type NormConfig =
  /** `eps` is added to the variance. */
  | { readonly kind: "layernorm"; readonly eps: number }
  /** `eps` is added to the mean square. */
  | { readonly kind: "rmsnorm"; readonly eps: number };

export interface NormParameters<P> {
  /** [C] */
  readonly weight: P;
  /** The bias, [C]. Null for an RMS norm, which has no bias. */
  readonly bias: P | null;
}

export const declareNorm = <P>(
  declare: Declare<P>,
  name: string,
  { kind }: NormConfig,
  channels: number,
  init: Initialisation = { kind: "ones" },
): NormParameters<P> => ({
  weight: declare({ name: `${name}.weight`, shape: [channels], init }),
  bias: kind === "layernorm" ? declare({ name: `${name}.bias`, shape: [channels], init: { kind: "zeros" } }) : null,
});

/** `dtype` is the element type of the result. Default: the backend's type of activations. */
export const norm = (
  context: Context,
  config: NormConfig,
  layer: NormParameters<Tensor>,
  x: Tensor,
  dtype?: DType,
): Tensor => {
  switch (config.kind) {
    case "layernorm":
      return layerNorm(context, x, layer.weight, layer.bias, config.eps, dtype);
    case "rmsnorm":
      return rmsNorm(context, x, layer.weight, config.eps, dtype);
  }
};
