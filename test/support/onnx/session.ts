/** Executes a graph in double precision, with the same calls as transformers.js. */
import type { Backend } from "#foretoken/backend/backend.js";
import type { ReadModel } from "#foretoken/io/onnx/read.js";
import { asPast, emptyPast, type Past, tokensOf } from "#foretoken/pretrained/onnx/run/form.js";
import { runnableGraph } from "#foretoken/pretrained/onnx/run/graph.js";
import { productsOn } from "#foretoken/pretrained/onnx/run/products.js";
import type { Tensor } from "#foretoken/pretrained/onnx/run/tensor.js";

export interface Answer {
  /** Logits [B, T, V]. */
  readonly logits: Tensor;
  readonly past: Past;
}

/** Positions from a mask, counted from 0 at the first token. The position is 1 for each masked token. */
const positionsOf = (mask: readonly number[]): readonly number[] => {
  let count = 0;
  return mask.map((isToken) => (isToken === 0 ? 1 : count++));
};

/**
 * Executes the graph once.
 * @param backend a backend in double precision.
 * @param rows ids of each sequence; all sequences have the same length.
 * @param past keys and values from the previous call.
 * @param masks mask of each sequence, including the tokens in `past`; default: no token is masked.
 */
export const callOn =
  (backend: Backend) =>
  async (
    model: ReadModel,
    rows: readonly (readonly number[])[],
    past?: Past,
    masks?: readonly (readonly number[])[],
  ): Promise<Answer> => {
    const products = productsOn(backend);
    const earlier = past ?? emptyPast(model, rows.length, products.real);
    const time = rows[0]?.length ?? 0;
    const before = Object.values(earlier)[0]?.shape[2] ?? 0;
    const all = masks ?? rows.map(() => new Array<number>(before + time).fill(1));
    const places = all.map((mask) => positionsOf(mask).slice(before));
    const given = { ...tokensOf(rows, all, places), ...earlier };
    const { logits, ...others } = await runnableGraph("model.onnx", model, products).run(given);
    products.close();
    if (logits === undefined) throw new Error("a model has logits");
    return { logits, past: asPast(others) };
  };
