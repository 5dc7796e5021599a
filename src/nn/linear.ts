import type { Context } from "../autograd/context.ts";
import type { Tensor } from "../autograd/tensor.ts";
import type { DType } from "../core/tensors/dtype.ts";
import { linear, linearResidual } from "../ops/linear.ts";
import { type LoraWeights, loraLinear, loraResidual } from "../ops/lora.ts";
import type { Declare, Initialisation } from "./parameters.ts";

export interface LinearParameters<P> {
  /** [out, in] */
  readonly weight: P;
  /** [out] */
  readonly bias: P | null;
  /** Adapters of the layer. Absent if the layer has no adapter. */
  readonly lora?: LoraWeights | undefined;
}

export interface LinearShape {
  readonly inputs: number;
  readonly outputs: number;
  readonly bias: boolean;
  readonly init: Initialisation;
  /** See `ParameterSpec.stacked`. */
  readonly stacked?: readonly number[];
}

/** Declares a dense layer `inputs` → `outputs`. Biases start at 0. */
export const declareLinear = <P>(
  declare: Declare<P>,
  name: string,
  { inputs, outputs, bias, init, stacked }: LinearShape,
): LinearParameters<P> => ({
  weight: declare({
    name: `${name}.weight`,
    shape: [outputs, inputs],
    init,
    ...(stacked === undefined ? {} : { stacked }),
  }),
  bias: bias ? declare({ name: `${name}.bias`, shape: [outputs], init: { kind: "zeros" } }) : null,
});

/** `dtype` is the element type of the output. Default: the real type. */
export const linearLayer = (context: Context, layer: LinearParameters<Tensor>, x: Tensor, dtype?: DType): Tensor =>
  layer.lora === undefined ? linear(context, x, layer, dtype) : loraLinear(context, x, layer, layer.lora, dtype);

/** End of a branch. The last linear layer drops elements of the result, and adds the result to the residual. */
export interface BranchEnd {
  /** Null if a norm follows. The layer then has no dropout and adds no residual. */
  readonly residual: Tensor | null;
  /** Probability, in [0, 1). */
  readonly dropout: number;
}

/** Last linear layer of a branch. The layer computes residual + dropout(layer(x)). */
export const lastLayer = (
  context: Context,
  layer: LinearParameters<Tensor>,
  x: Tensor,
  { residual, dropout }: BranchEnd,
): Tensor => {
  if (residual === null) return linearLayer(context, layer, x);
  return layer.lora === undefined
    ? linearResidual(context, x, layer, residual, dropout)
    : loraResidual(context, x, layer, layer.lora, residual, dropout);
};
