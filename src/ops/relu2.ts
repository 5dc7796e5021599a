/**
 * y = max(0, x)²
 *
 *   dx = dy·2·max(0, x)
 *
 * Source: So et al. 2021, "Primer". The op equals torch.nn.functional.relu(x).square().
 */
import type { Context } from "../autograd/context.ts";
import type { Tensor } from "../autograd/tensor.ts";
import { sizeOf } from "../core/tensors/shape.ts";

/** Elementwise. */
export const relu2 = (context: Context, x: Tensor): Tensor => {
  const { backend, memory, tape } = context;
  const n = sizeOf(x.shape);
  const y = memory.allocate(x.shape, backend.capabilities.activations);
  backend.run("relu2Forward", { x, y, n });

  tape?.record(y, [x], [], (dy) => {
    // Only matrix products read dx. These products round it to this type anyway.
    const dx = memory.allocate(x.shape, backend.capabilities.activations);
    backend.run("relu2Backward", { x, dy, dx, n });
    tape.accumulate(x, dx);
  });
  return y;
};
