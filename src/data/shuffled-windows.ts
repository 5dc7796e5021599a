/**
 * Windows of a text without repetition. In every epoch, the windows cover the text without gaps, so each token is a
 * target once. The order of the windows is new in each epoch.
 */
import { randomKey, randomStream } from "../core/random.ts";
import { type Batch, checkTokenCounts, firstRowOfPass, type PassRange, passRows, setWindow } from "./batches.ts";
import { shuffled } from "./documents.ts";

export const windowKinds = ["random", "shuffled"] as const;
/**
 * How windows are drawn from a text. With `random`, each window has a random offset, so some tokens are used several
 * times before other tokens are used once. With `shuffled`, every epoch uses each token once, in a new order.
 */
export type WindowKind = (typeof windowKinds)[number];

/** The windows of one epoch. Window i begins at `first + order[i] · contextLength`. */
interface Epoch {
  readonly first: number;
  readonly order: Int32Array;
}

/** Number of epochs that are kept in memory. A step may begin in one epoch and end in the next epoch. */
const mostKept = 2;

/** Values that determine the windows, in addition to the text. */
export interface ShuffledWindowOptions {
  /** Number of tokens of a window, T. */
  readonly contextLength: number;
  readonly seed: number;
}

/**
 * Returns a function that returns the offset of window `number`. Windows are numbered across all epochs. The offset
 * depends only on the seed and the number. All epochs have the same number of windows. The first window begins at a
 * different offset in each epoch. The borders between windows, and the tokens that are cut off at both ends, therefore
 * differ between epochs.
 * @param tokens number of tokens of the text, at least contextLength + 1.
 * @throws DataError for fewer tokens.
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
 * Yields windows number [from, to) at the offsets that `offsetOf` returns. `passRows` divides the windows into forward
 * passes. Each pass is made only when it is needed.
 * @param range range of passes. Default: all.
 * @param begin a token with which each window begins. Default: none.
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
