/** Calls of a model in the form of ONNX, as transformers.js makes them. */
import type { ReadModel, Tensor } from "./read.ts";
import { runOnnx } from "./run.ts";

const numbers = (type: Tensor["type"], shape: readonly number[], values: readonly number[]): Tensor => ({
  ...{ type, shape },
  data: Float64Array.from(values),
});

/** Keys and values of what was before, by their names as inputs. */
export type Past = Readonly<Record<string, Tensor>>;

export interface Answer {
  /** [B, T, V] */
  readonly logits: Tensor;
  readonly past: Past;
}

/** No tokens before: keys and values of length 0. */
const noPast = ({ inputs }: ReadModel, batch: number): Past =>
  Object.fromEntries(
    inputs
      .filter(({ name }) => name.startsWith("past_key_values."))
      .map(({ name, type, shape }) => {
        const sizes = shape.map((size) => (typeof size === "number" ? size : size === "batch_size" ? batch : 0));
        return [name, numbers(type, sizes, [])];
      }),
  );

/** Positions by a mask: 0 from the first token on, and 1 where there is none. */
const positionsOf = (mask: readonly number[]): readonly number[] => {
  let count = 0;
  return mask.map((isToken) => (isToken === 0 ? 1 : count++));
};

/**
 * One call.
 * @param rows ids of each sequence, all of one length.
 * @param past of the call before.
 * @param masks of each sequence, with what is in `past`; default: all tokens are there.
 */
export const call = (
  model: ReadModel,
  rows: readonly (readonly number[])[],
  past: Past = noPast(model, rows.length),
  masks?: readonly (readonly number[])[],
): Answer => {
  const time = rows[0]?.length ?? 0;
  const before = Object.values(past)[0]?.shape[2] ?? 0;
  const all = masks ?? rows.map(() => new Array<number>(before + time).fill(1));
  const places = all.map((mask) => positionsOf(mask).slice(before));
  const { logits, ...present } = runOnnx(model, {
    ...past,
    input_ids: numbers("int64", [rows.length, time], rows.flat()),
    attention_mask: numbers("int64", [rows.length, before + time], all.flat()),
    position_ids: numbers("int64", [rows.length, time], places.flat()),
  });
  if (logits === undefined) throw new Error("a model has logits");
  const renamed = Object.entries(present).map(([name, value]) => [name.replace("present", "past_key_values"), value]);
  return { logits, past: Object.fromEntries(renamed) };
};
