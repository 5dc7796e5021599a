/**
 * y = x·Wᵀ + b
 *
 *   x [.., K]   W [N, K]   b [N]   →   y [.., N]
 *   dx = dy·W     dW = dyᵀ·x     db = Σ over rows of dy
 *
 * As torch.nn.functional.linear.
 */
import type { Context } from "../autograd/context.ts";
import type { Tensor } from "../autograd/tensor.ts";
import { ShapeError } from "../core/errors.ts";
import { formatShape } from "../core/shape.ts";
import { type OpSample, requireShape, rowsOf, sampleInput } from "./op.ts";

/** `bias` null: none. Row i of y has the same bits whatever the number of rows. */
export const linear = (context: Context, x: Tensor, weight: Tensor, bias: Tensor | null): Tensor => {
  const { backend, memory, tape } = context;
  const [n, k] = weight.shape;
  if (n === undefined || k === undefined || weight.shape.length !== 2) {
    throw new ShapeError({ where: "linear", must: "the weight must be [N, K]", got: formatShape(weight.shape) });
  }
  const m = rowsOf("linear", x, k);
  if (bias !== null) requireShape("linear", "the bias", bias, [n]);

  const y = memory.allocate([...x.shape.slice(0, -1), n]);
  backend.run("linearForward", { x, w: weight, bias, y, m, n, k });

  tape?.record(y, bias === null ? [x, weight] : [x, weight, bias], [], (dy) => {
    if (tape.tracks(x)) {
      const dx = memory.allocate(x.shape);
      backend.run("linearBackwardInput", { dy, w: weight, dx, m, n, k });
      tape.accumulate(x, dx);
    }
    const to = tape.destination(weight);
    const dBias = bias === null ? null : tape.accumulator(bias);
    if (to !== null) backend.run("linearBackwardWeight", { dy, x, dw: to.gradient, dBias, m, n, k, add: to.add });
  });
  return y;
};

const sample = (name: string, m: number, n: number, k: number, withBias: boolean): OpSample => ({
  name,
  inputs: { x: [m, k], weight: [n, k], ...(withBias ? { bias: [n] } : {}) },
  run: (context, inputs) =>
    linear(
      context,
      sampleInput(inputs, "x"),
      sampleInput(inputs, "weight"),
      withBias ? sampleInput(inputs, "bias") : null,
    ),
});

export const samples: readonly OpSample[] = [
  sample("one by one", 1, 1, 1, true),
  sample("odd sizes", 3, 5, 7, true),
  sample("no bias", 4, 2, 9, false),
  sample("past one vector", 17, 33, 19, true),
];
