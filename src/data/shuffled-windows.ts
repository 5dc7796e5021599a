/**
 * Windows of a text without repetition: in every pass over it the windows lie end to end, so each token is a target once,
 * and they come in a new order.
 */
import { randomKey, randomStream } from "../core/random.ts";
import { type Batch, checkTokenCounts, firstRowOfPass, type PassRange, passRows, setWindow } from "./batches.ts";
import { shuffled } from "./documents.ts";

export const windowKinds = ["random", "shuffled"] as const;
/**
 * How windows are drawn from a text. `random`: each at an offset of its own, so some tokens come several times before others
 * come once; `shuffled`: every token once, then every token again, in another order.
 */
export type WindowKind = (typeof windowKinds)[number];

/** The windows of one pass over the text: window i begins at `first + order[i] · contextLength`. */
interface Epoch {
  readonly first: number;
  readonly order: Int32Array;
}

/** Epochs that are kept: a step may begin in one and end in the next. */
const mostKept = 2;

/** What the windows depend on, besides the text. */
export interface ShuffledWindowOptions {
  /** Tokens of a window, T. */
  readonly contextLength: number;
  readonly seed: number;
}

/**
 * Where window `number` begins, numbered over all passes over the text: a function of the seed and the number alone. A pass
 * has as many windows as fit wherever the first one begins; it begins somewhere else in every pass, so the tokens that are
 * cut off at the ends, and the borders between windows, differ.
 * @param tokens of the text: at least contextLength + 1.
 * @throws DataError for fewer.
 */
export const shuffledWindows = (
  tokens: number,
  { contextLength, seed }: ShuffledWindowOptions,
): ((number: number) => number) => {
  checkTokenCounts({ train: tokens }, contextLength);
  const perEpoch = Math.max(1, Math.floor((tokens - contextLength) / contextLength));
  const firsts = tokens - perEpoch * contextLength;
  const kept = new Map<number, Epoch>();
  const epoch = (number: number): Epoch => {
    const found = kept.get(number);
    if (found !== undefined) return found;
    const { integer } = randomStream(randomKey(seed, "batches", number));
    const made = { first: integer(firsts), order: shuffled(perEpoch, integer) };
    kept.set(number, made);
    for (const [oldest] of kept) if (kept.size > mostKept) kept.delete(oldest);
    return made;
  };
  return (number) => {
    const { first, order } = epoch(Math.floor(number / perEpoch));
    return first + (order[number % perEpoch] as number) * contextLength;
  };
};

/**
 * Windows [from, to) of `offsets`, cut into passes by `passRows`. Each pass is made when it is asked for.
 * @param range the passes; default: all.
 * @param begin a token that each window begins with; default: none.
 */
export function* passesOfWindows(
  tokens: Int32Array,
  offsetOf: (number: number) => number,
  { from, to, contextLength: time }: Readonly<Record<"from" | "to" | "contextLength", number>>,
  tokensPerPass: number,
  range?: PassRange,
  begin?: number,
): Generator<Batch, void, undefined> {
  let number = from + firstRowOfPass(to - from, time, tokensPerPass, range?.from ?? 0);
  for (const rows of passRows(to - from, time, tokensPerPass, range)) {
    const [x, y] = [new Int32Array(rows * time), new Int32Array(rows * time)];
    for (let row = 0; row < rows; row++) setWindow({ x, y, time }, row, tokens, offsetOf(number++), begin);
    yield { x, y, rows, time };
  }
}
