import type { Context } from "../autograd/context.ts";
import type { Tensor } from "../autograd/tensor.ts";
import { layerNorm } from "../ops/layer-norm.ts";
import { rmsNorm } from "../ops/rms-norm.ts";
import type { Declare } from "./parameters.ts";

/** The normalisation before each branch of a block and before the head. */
export type NormConfig =
  /** `eps` is added to the variance. */
  | { readonly kind: "layernorm"; readonly eps: number }
  /** `eps` is added to the mean square. */
  | { readonly kind: "rmsnorm"; readonly eps: number };

export interface NormParameters<P> {
  /** [C] */
  readonly weight: P;
  /** [C]; null: an RMS norm has none. */
  readonly bias: P | null;
}

export const declareNorm = <P>(
  declare: Declare<P>,
  name: string,
  { kind }: NormConfig,
  channels: number,
): NormParameters<P> => ({
  weight: declare({ name: `${name}.weight`, shape: [channels], init: { kind: "ones" } }),
  bias: kind === "layernorm" ? declare({ name: `${name}.bias`, shape: [channels], init: { kind: "zeros" } }) : null,
});

export const norm = (context: Context, config: NormConfig, layer: NormParameters<Tensor>, x: Tensor): Tensor => {
  switch (config.kind) {
    case "layernorm":
      return layerNorm(context, x, layer.weight, layer.bias, config.eps);
    case "rmsnorm":
      return rmsNorm(context, x, layer.weight, config.eps);
  }
};
