/**
 * Quantized weights in blocks (backend/kernels/block-forms.ts). In inference, products read the blocks directly.
 * Activations are rounded to 8 bits in blocks of 32, and sums within a block are integers. Training converts a matrix
 * to real numbers for each product, and frees the converted matrix afterwards.
 */
import { type Context, factorOf } from "../autograd/context.ts";
import type { BlockPart, Tensor } from "../autograd/tensor.ts";
import type { View } from "../backend/backend.ts";
import { panelRows, panelWords } from "../backend/kernels/block-forms.ts";
import { ShapeError } from "../core/errors/errors.ts";

/** A range of rows of a matrix. */
interface Rows {
  readonly first: number;
  readonly count: number;
}

const move = ({ storage, offset }: View, elements: number): View => ({ storage, offset: offset + elements });

const allRows = ({ shape }: Tensor): Rows => ({ first: 0, count: shape[0] ?? 0 });

/**
 * Calls `visit` for each part that contains some of the rows. `from` and `count` describe the range within the part.
 */
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

/** Arguments and result of a product of x [m, k] with some rows of W [N, k]. */
interface BlockProduct extends Rows {
  readonly bias: Tensor | null;
  readonly addend: View | null;
  /** [m, count] */
  readonly y: View;
  readonly m: number;
  readonly k: number;
}

/**
 * Computes y = round8(x)·Wᵀ + bias + addend for some rows of W. The first of these rows is a multiple of 16. `bias` is
 * the bias of all rows of W.
 */
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
        must: `rows of blocks must begin at a multiple of ${panelRows}`,
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

/**
 * Converts rows of a matrix in blocks to real numbers. The result, [count, k], is a temporary tensor in the number
 * format of products.
 */
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

/**
 * Calls `use` with a weight, or with some rows of a weight, in the number format of products. A weight in blocks is
 * converted to a temporary tensor.
 */
export const withFactor = (context: Context, weight: Tensor, use: (w: View) => void, rows?: Rows): void => {
  if (weight.blocks !== undefined) {
    const wide = widenRows(context, weight, rows ?? allRows(weight));
    use(wide);
    context.memory.release(wide);
    return;
  }
  use(move(factorOf(context, weight), (rows?.first ?? 0) * (weight.shape[1] ?? 0)));
};

/** Whether a product reads the blocks without converting them. */
export const multipliesBlocks = ({ tape, widens }: Context, { blocks }: Tensor): boolean =>
  blocks !== undefined && tape === null && widens !== true;

/** Returns the rows `ids` of a table in blocks, as float32. */
export const blockRows = ({ backend }: Context, ids: Tensor, table: Tensor, y: Tensor, rows: number): void => {
  const [part, ...others] = table.blocks ?? [];
  if (part === undefined || others.length > 0) {
    throw new ShapeError({
      where: "embedding",
      must: "a table in blocks must have one block format",
      got: `${others.length + 1}`,
    });
  }
  const { form, rows: n } = part;
  backend.run("blocksRows", { w: part, ids, y, rows, n, k: table.shape[1] ?? 0, first: 0, form });
};
