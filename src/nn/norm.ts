import type { Context } from "../autograd/context.ts";
import type { Tensor } from "../autograd/tensor.ts";
import { layerNorm } from "../ops/layer-norm.ts";
import type { Declare } from "./parameters.ts";

/** The normalisation before each branch of a block and before the head. `eps` is added to the variance. */
export type NormConfig = { readonly kind: "layernorm"; readonly eps: number };

export interface NormParameters<P> {
  /** [C] */
  readonly weight: P;
  /** [C] */
  readonly bias: P | null;
}

export const declareNorm = <P>(declare: Declare<P>, name: string, channels: number): NormParameters<P> => ({
  weight: declare({ name: `${name}.weight`, shape: [channels], init: { kind: "ones" } }),
  bias: declare({ name: `${name}.bias`, shape: [channels], init: { kind: "zeros" } }),
});

export const norm = (context: Context, config: NormConfig, layer: NormParameters<Tensor>, x: Tensor): Tensor => {
  switch (config.kind) {
    case "layernorm":
      return layerNorm(context, x, layer.weight, layer.bias, config.eps);
  }
};
