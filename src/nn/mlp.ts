import type { Context } from "../autograd/context.ts";
import type { Tensor } from "../autograd/tensor.ts";
import { dropout } from "../ops/dropout.ts";
import { type GeluApproximation, gelu } from "../ops/gelu.ts";
import { declareLinear, type LinearParameters, linearLayer } from "./linear.ts";
import type { Declare } from "./parameters.ts";

/** The position-wise branch of a block; hidden width is ratio · nEmbd. */
export type MlpConfig = { readonly kind: "gelu"; readonly approximate: GeluApproximation; readonly ratio: number };

export interface MlpParameters<P> {
  /** C → ratio·C */
  readonly up: LinearParameters<P>;
  /** ratio·C → C */
  readonly down: LinearParameters<P>;
}

export const declareMlp = <P>(
  declare: Declare<P>,
  name: string,
  { ratio }: MlpConfig,
  { nEmbd, bias, std }: { readonly nEmbd: number; readonly bias: boolean; readonly std: number },
): MlpParameters<P> => ({
  up: declareLinear(declare, `${name}.up`, { inputs: nEmbd, outputs: ratio * nEmbd, bias, std }),
  down: declareLinear(declare, `${name}.down`, { inputs: ratio * nEmbd, outputs: nEmbd, bias, std }),
});

/** [B, T, C] → [B, T, C] */
export const mlp = (
  context: Context,
  config: MlpConfig,
  layer: MlpParameters<Tensor>,
  x: Tensor,
  dropoutP: number,
): Tensor => {
  const hidden = gelu(context, linearLayer(context, layer.up, x), config.approximate); // [B, T, ratio·C]
  return dropout(context, linearLayer(context, layer.down, hidden), dropoutP); // [B, T, C]
};
