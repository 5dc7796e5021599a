/**
 * y = gate·σ(gate)·up, with σ(z) = 1/(1 + e⁻ᶻ)
 *
 *   x = gate | up [.., 2F]   →   y [.., F]
 *   dgate = dy·up·(σ + gate·σ·(1 − σ))     dup = dy·gate·σ
 *
 * Source: Shazeer 2020, without the linear layers before and after. The op equals torch.nn.functional.silu(gate) · up.
 */
import type { Context } from "../autograd/context.ts";
import type { Tensor } from "../autograd/tensor.ts";
import { gatedWidth, rowsOf } from "./op.ts";

/** The last axis of `x` holds gate, then up, of equal length. */
export const swiglu = (context: Context, x: Tensor): Tensor => {
  const { backend, memory, tape } = context;
  const hidden = gatedWidth("swiglu", x);
  const rows = rowsOf("swiglu", x, 2 * hidden);
  const y = memory.allocate([...x.shape.slice(0, -1), hidden], backend.capabilities.activations);
  backend.run("swigluForward", { x, y, rows, hidden });

  tape?.record(y, [x], [], (dy) => {
    // Only matrix products read dx. These products round it to this type anyway.
    const dx = memory.allocate(x.shape, backend.capabilities.activations);
    backend.run("swigluBackward", { x, dy, dx, rows, hidden });
    tape.accumulate(x, dx);
  });
  return y;
};
