import type { Context } from "../autograd/context.ts";
import type { Tensor } from "../autograd/tensor.ts";
import { linear } from "../ops/linear.ts";
import type { Declare } from "./parameters.ts";

export interface LinearParameters<P> {
  /** [out, in] */
  readonly weight: P;
  /** [out] */
  readonly bias: P | null;
}

/** A dense layer `inputs` → `outputs`, weights from N(0, std²), biases 0. */
export const declareLinear = <P>(
  declare: Declare<P>,
  name: string,
  shape: { readonly inputs: number; readonly outputs: number; readonly bias: boolean; readonly std: number },
): LinearParameters<P> => ({
  weight: declare({
    name: `${name}.weight`,
    shape: [shape.outputs, shape.inputs],
    init: { kind: "normal", std: shape.std },
  }),
  bias: shape.bias ? declare({ name: `${name}.bias`, shape: [shape.outputs], init: { kind: "zeros" } }) : null,
});

export const linearLayer = (context: Context, layer: LinearParameters<Tensor>, x: Tensor): Tensor =>
  linear(context, x, layer.weight, layer.bias);
