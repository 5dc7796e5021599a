/**
 * y = gelu(gate)·up
 *
 *   x = gate | up [.., 2F]   →   y [.., F]
 *   dgate = dy·up·gelu′(gate)     dup = dy·gelu(gate)
 *
 * Source: Shazeer 2020, without the linear layers before and after. The op equals torch.nn.functional.gelu(gate) · up.
 */
import type { Context } from "../autograd/context.ts";
import type { Tensor } from "../autograd/tensor.ts";
import type { GeluApproximation } from "./gelu.ts";
import { gatedWidth, rowsOf } from "./op.ts";

/** The last axis of `x` holds gate, then up, of equal length. `approximate` has the same meaning as in `gelu`. */
export const geglu = (context: Context, x: Tensor, approximate: GeluApproximation): Tensor => {
  const { backend, memory, tape } = context;
  const hidden = gatedWidth("geglu", x);
  const rows = rowsOf("geglu", x, 2 * hidden);
  const tanh = approximate === "tanh" ? 1 : 0;
  const y = memory.allocate([...x.shape.slice(0, -1), hidden], backend.capabilities.activations);
  backend.run("gegluForward", { x, y, rows, hidden, tanh });

  tape?.record(y, [x], [], (dy) => {
    // Only matrix products read dx. These products round it to this type anyway.
    const dx = memory.allocate(x.shape, backend.capabilities.activations);
    backend.run("gegluBackward", { x, dy, dx, rows, hidden, tanh });
    tape.accumulate(x, dx);
  });
  return y;
};
