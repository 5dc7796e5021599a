/**
 * y = residual + dropout(x): the end of a branch in which a norm is the last layer
 *
 *   x, residual [.., C]   →   y [.., C];   dResidual = dy     dx = dropout(dy), the same draw
 *
 * A branch that ends with a linear layer uses linear.ts, which does the same in the product's epilogue.
 */
import type { Context } from "../autograd/context.ts";
import type { Tensor } from "../autograd/tensor.ts";
import { sizeOf } from "../core/tensors/shape.ts";
import { drawDropout } from "./dropout.ts";
import { requireShape } from "./op.ts";

/** While training, each element of x is dropped with probability `p` in [0, 1). */
export const addBranch = (context: Context, x: Tensor, residual: Tensor, p: number): Tensor => {
  const { backend, memory, tape } = context;
  requireShape("addBranch", "the residual", residual, x.shape);
  const n = sizeOf(x.shape);
  const draw = drawDropout(context, p);
  const y = memory.allocate(residual.shape);
  if (draw !== null) backend.run("dropout", { x, y, n, ...draw });
  backend.run("add", { a: residual, b: draw === null ? x : y, y, n });

  tape?.record(y, [x, residual], [], (dy) => {
    tape.accumulate(residual, memory.retain(dy));
    if (draw === null || !tape.tracks(x)) {
      tape.accumulate(x, memory.retain(dy));
      return;
    }
    const dx = memory.allocate(x.shape);
    backend.run("dropout", { x: dy, y: dx, n, ...draw });
    tape.accumulate(x, dx);
  });
  return y;
};
