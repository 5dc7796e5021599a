/**
 * Weights in blocks of few bits (backend/kernels/block-forms.ts). Inference multiplies them as they are: activations are rounded to
 * 8 bits in blocks of 32, and sums of a block are integers. Training widens a matrix for each product, and releases it.
 */
import { type Context, factorOf } from "../autograd/context.ts";
import type { BlockPart, Tensor } from "../autograd/tensor.ts";
import type { View } from "../backend/backend.ts";
import { panelRows, panelWords } from "../backend/kernels/block-forms.ts";
import { ShapeError } from "../core/errors/errors.ts";

/** Some rows of a matrix. */
interface Rows {
  readonly first: number;
  readonly count: number;
}

const move = ({ storage, offset }: View, elements: number): View => ({ storage, offset: offset + elements });

const allRows = ({ shape }: Tensor): Rows => ({ first: 0, count: shape[0] ?? 0 });

/** Calls `visit` with what each part has of some rows: its rows `from` to `from` + `count` − 1. */
const forParts = (
  weight: Tensor,
  { first, count }: Rows,
  visit: (part: BlockPart, from: number, count: number) => void,
): void => {
  for (const part of weight.blocks ?? []) {
    const begin = Math.max(first, part.first);
    const end = Math.min(first + count, part.first + part.rows);
    if (begin < end) visit(part, begin - part.first, end - begin);
  }
};

/** A product of x [m, k] with some rows of W [N, k], and where it goes. */
interface BlockProduct extends Rows {
  readonly bias: Tensor | null;
  readonly addend: View | null;
  /** [m, count] */
  readonly y: View;
  readonly m: number;
  readonly k: number;
}

/** y = round8(x)·Wᵀ + bias + addend, of rows from a multiple of 16 on. `bias` is that of all rows of W. */
export const blockProduct = (
  { backend }: Context,
  x: Tensor,
  weight: Tensor,
  { first, count, bias, addend, y, m, k }: BlockProduct,
): void => {
  forParts(weight, { first, count }, (part, from, rows) => {
    if (from % panelRows !== 0) {
      throw new ShapeError({
        where: "blocks",
        must: `rows must begin at a multiple of ${panelRows}`,
        got: String(from),
      });
    }
    const { form } = part;
    const column = part.first + from - first;
    backend.run("blocksLinearForward", {
      x,
      w: move(part, panelWords(form, from, k)),
      bias: bias === null ? null : move(bias, part.first + from),
      addend: addend === null ? null : move(addend, column),
      y: move(y, column),
      ...{ m, n: rows, k, yStride: count, form },
    });
  });
};

/** Rows of a matrix in blocks as numbers, [count, k]: a temporary in the type that products read. */
export const widenRows = (context: Context, weight: Tensor, rows: Rows): Tensor => {
  const { backend, memory } = context;
  const k = weight.shape[1] ?? 0;
  const wide = memory.allocate([rows.count, k], backend.capabilities.activations);
  forParts(weight, rows, (part, from, count) => {
    const y = move(wide, (part.first + from - rows.first) * k);
    const { form, rows: n } = part;
    backend.run("blocksRows", { w: part, ids: null, y, rows: count, n, k, first: from, form });
  });
  return wide;
};

/** Hands `use` a weight as products read it, or some of its rows; of blocks a temporary. */
export const withFactor = (context: Context, weight: Tensor, use: (w: View) => void, rows?: Rows): void => {
  if (weight.blocks !== undefined) {
    const wide = widenRows(context, weight, rows ?? allRows(weight));
    use(wide);
    context.memory.release(wide);
    return;
  }
  use(move(factorOf(context, weight), (rows?.first ?? 0) * (weight.shape[1] ?? 0)));
};

/** Whether a product reads the blocks themselves. */
export const multipliesBlocks = ({ tape, widens }: Context, { blocks }: Tensor): boolean =>
  blocks !== undefined && tape === null && widens !== true;

/** The rows `ids` of a table in blocks, in float32. */
export const blockRows = ({ backend }: Context, ids: Tensor, table: Tensor, y: Tensor, rows: number): void => {
  const [part, ...others] = table.blocks ?? [];
  if (part === undefined || others.length > 0) {
    throw new ShapeError({
      where: "embedding",
      must: "a table in blocks must be one tensor",
      got: `${others.length + 1}`,
    });
  }
  const { form, rows: n } = part;
  backend.run("blocksRows", { w: part, ids, y, rows, n, k: table.shape[1] ?? 0, first: 0, form });
};
