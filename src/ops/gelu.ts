/**
 * y = x·Φ(x), where Φ is the normal distribution function
 *
 *   exact:  y = ½·x·(1 + erf(x/√2))                          dy/dx = Φ(x) + x·φ(x)
 *   tanh:   y = ½·x·(1 + tanh(√(2/π)·(x + 0.044715·x³)))
 *
 * Source: Hendrycks & Gimpel 2016. The op equals torch.nn.functional.gelu.
 */
import type { Context } from "../autograd/context.ts";
import type { Tensor } from "../autograd/tensor.ts";
import { sizeOf } from "../core/tensors/shape.ts";

export type GeluApproximation = "none" | "tanh";

/** `approximate` has the same meaning as in PyTorch: "none" is the exact form with erf. */
export const gelu = (context: Context, x: Tensor, approximate: GeluApproximation): Tensor => {
  const { backend, memory, tape } = context;
  const n = sizeOf(x.shape);
  const tanh = approximate === "tanh" ? 1 : 0;
  const y = memory.allocate(x.shape);
  backend.run("geluForward", { x, y, n, tanh });

  tape?.record(y, [x], [], (dy) => {
    const dx = memory.allocate(x.shape);
    backend.run("geluBackward", { x, dy, dx, n, tanh });
    tape.accumulate(x, dx);
  });
  return y;
};
