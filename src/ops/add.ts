/**
 * y = a + b (a residual connection)
 *
 *   da = dy     db = dy
 */
import type { Context } from "../autograd/context.ts";
import type { Tensor } from "../autograd/tensor.ts";
import { sizeOf } from "../core/tensors/shape.ts";
import { requireShape } from "./op.ts";

/** Elementwise; both inputs have the same shape. */
export const add = (context: Context, a: Tensor, b: Tensor): Tensor => {
  const { backend, memory, tape } = context;
  requireShape("add", "b", b, a.shape);
  const y = memory.allocate(a.shape);
  backend.run("add", { a, b, y, n: sizeOf(a.shape) });

  tape?.record(y, [a, b], [], (dy) => {
    tape.accumulate(a, memory.retain(dy));
    tape.accumulate(b, memory.retain(dy));
  });
  return y;
};
