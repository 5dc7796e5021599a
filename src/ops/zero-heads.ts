/**
 * y[.., h·D + d] = 0 if head h is switched off, else x[.., h·D + d]
 *
 *   x [.., H·D]   →   y [.., H·D];   dx = dy, with the same zeros
 *
 * The op equals the head mask of Michel et al. 2019, with entries that are 0 or 1.
 */
import type { Context } from "../autograd/context.ts";
import type { Tensor } from "../autograd/tensor.ts";
import { ShapeError } from "../core/errors/errors.ts";
import { sizeOf } from "../core/tensors/shape.ts";
import { rowsOf } from "./op.ts";

/** Copies x, but with zeros in the given heads. */
const copyWithZeros = (
  { backend, memory }: Context,
  x: Tensor,
  rows: number,
  headDim: number,
  off: readonly number[],
): Tensor => {
  const { dtype } = x.storage;
  const n = sizeOf(x.shape);
  const width = n / rows;
  const y = memory.allocate(x.shape, dtype);
  backend.run("copyRows", { x, y, rows: 1, width: n, xStride: n, yStride: n });
  const zeros = memory.allocate([rows, headDim]);
  backend.run("fill", { y: zeros, n: rows * headDim, value: 0 });
  for (const head of off) {
    const to = { storage: y.storage, offset: y.offset + head * headDim };
    backend.run("copyRows", { x: zeros, y: to, rows, width: headDim, xStride: headDim, yStride: width });
  }
  memory.release(zeros);
  return y;
};

/**
 * Switches heads off.
 * @param x [.., H·D], the output of attention, with heads side by side.
 * @param off heads that are switched off, each from 0 to H − 1.
 */
export const zeroHeads = (
  context: Context,
  x: Tensor,
  { heads, headDim }: { readonly heads: number; readonly headDim: number },
  off: readonly number[],
): Tensor => {
  const { tape } = context;
  const rows = rowsOf("zeroHeads", x, heads * headDim);
  const wrong = off.find((head) => !Number.isInteger(head) || head < 0 || head >= heads);
  if (wrong !== undefined) {
    throw new ShapeError({
      where: "zeroHeads",
      must: `heads must be whole numbers from 0 to ${heads - 1}`,
      got: String(wrong),
    });
  }
  const y = copyWithZeros(context, x, rows, headDim, off);

  tape?.record(y, [x], [], (dy) => tape.accumulate(x, copyWithZeros(context, dy, rows, headDim, off)));
  return y;
};
