/**
 * y = gate·σ(gate)·up, with σ(z) = 1/(1 + e⁻ᶻ)
 *
 *   x = gate | up [.., 2F]   →   y [.., F]
 *   dgate = dy·up·(σ + gate·σ·(1 − σ))     dup = dy·gate·σ
 *
 * Shazeer 2020, without the two products around it: torch.nn.functional.silu(gate) · up.
 */
import type { Context } from "../autograd/context.ts";
import type { Tensor } from "../autograd/tensor.ts";
import { ShapeError } from "../core/errors/errors.ts";
import { formatShape } from "../core/tensors/shape.ts";
import { rowsOf } from "./op.ts";

/** The last axis of `x` holds the gate and then what it scales, each half as long. */
export const swiglu = (context: Context, x: Tensor): Tensor => {
  const { backend, memory, tape } = context;
  const width = x.shape.at(-1) ?? 0;
  if (width === 0 || width % 2 !== 0) {
    throw new ShapeError({
      where: "swiglu",
      must: "the last axis must hold gate and up, an even number of elements",
      got: formatShape(x.shape),
    });
  }
  const hidden = width / 2;
  const rows = rowsOf("swiglu", x, width);
  const y = memory.allocate([...x.shape.slice(0, -1), hidden], backend.capabilities.activations);
  backend.run("swigluForward", { x, y, rows, hidden });

  tape?.record(y, [x], [], (dy) => {
    // The products that take it round it to this in any case.
    const dx = memory.allocate(x.shape, backend.capabilities.activations);
    backend.run("swigluBackward", { x, dy, dx, rows, hidden });
    tape.accumulate(x, dx);
  });
  return y;
};
