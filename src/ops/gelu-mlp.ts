/**
 * y = residual + dropout(gelu(x·Uᵀ + u)·Dᵀ + d): the MLP branch of a block, with its residual connection
 *
 *   x [.., C]   U [F, C]   u [F]   D [C, F]   d [C]   residual [.., C]   →   y [.., C]
 *   e = dropout(dy), the same draw     dh = (e·D) ∘ gelu′(x·Uᵀ + u)     dD = eᵀ·gelu(…)     dU = dhᵀ·x     dResidual = dy
 *
 * GELU (Hendrycks & Gimpel 2016) is applied in the product's epilogue. The forward pass saves gelu and gelu′, which
 * share most of their arithmetic, so the backward pass only multiplies by the saved gelu′.
 */
import { type Context, factorOf } from "../autograd/context.ts";
import type { Tensor } from "../autograd/tensor.ts";
import { drawDropout } from "./dropout.ts";
import type { GeluApproximation } from "./gelu.ts";
import {
  addLinear,
  branchGradients,
  type LinearWeights,
  linearGradients,
  linearSizes,
  savedOf,
  weightsOf,
} from "./linear.ts";

export interface GeluMlpWeights {
  /** C → F */
  readonly up: LinearWeights;
  /** F → C */
  readonly down: LinearWeights;
  readonly approximate: GeluApproximation;
}

/** While training, drops each element of the branch with probability `p` in [0, 1). */
export const geluMlp = (
  context: Context,
  x: Tensor,
  { up, down, approximate }: GeluMlpWeights,
  residual: Tensor,
  p: number,
): Tensor => {
  const { backend, memory, tape } = context;
  const { m, n, k } = linearSizes("geluMlp", x, up);
  const tanh = approximate === "tanh" ? 1 : 0;
  const { activations } = backend.capabilities;
  const hidden = memory.allocate([...x.shape.slice(0, -1), n], activations); // [.., F]
  const slope = tape === null ? null : memory.allocate(hidden.shape, activations);
  const w = factorOf(context, up.weight);
  backend.run("linearGeluForward", { x, w, bias: up.bias, y: hidden, slope, m, n, k, tanh });
  const end = addLinear(context, hidden, down, residual, drawDropout(context, p));
  if (tape === null || slope === null) {
    memory.release(hidden);
    return end.y;
  }

  tape.record(end.y, [x, ...weightsOf(up), ...weightsOf(down), residual], [hidden, slope, ...savedOf(end)], (dy) => {
    tape.accumulate(residual, memory.retain(dy));
    const dHidden = branchGradients(context, hidden, down, dy, end, slope);
    linearGradients(context, x, up, dHidden);
    memory.release(dHidden);
  });
  return end.y;
};
