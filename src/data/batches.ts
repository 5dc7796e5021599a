import { DataError } from "../core/errors/errors.ts";
import { randomKey, randomStream } from "../core/random.ts";
import { checkEvaluationWindows, checkTrainingBatch } from "./check-windows.ts";
import type { HeldOutOption } from "./corpus.ts";

/**
 * Inputs and targets, shifted by one token. From ids[0..T] come inputs x = ids[0..T) and targets y = ids[1..T]: the
 * target of each position is the token after it. In documents, the target −1 does not count. x and y are row-major
 * [rows, time].
 * @experimental
 */
export interface Batch {
  /** Inputs, [rows · time]. */
  readonly x: Int32Array;
  /** Targets, [rows · time]. */
  readonly y: Int32Array;
  /** Sequences, B. */
  readonly rows: number;
  /** Number of tokens per sequence, T. */
  readonly time: number;
  /**
   * Lengths of the documents in a batch of one row. Attention never crosses from one document to another. Together, the
   * documents may be longer than the context. If absent, each row is a sequence.
   */
  readonly segments?: readonly number[];
}

/**
 * Options of `trainingBatch`.
 * @experimental
 */
export interface TrainingBatchOptions {
  /** Number of rows of one micro-batch, B. */
  readonly batchSize: number;
  /** Number of tokens per row, T. */
  readonly contextLength: number;
  /** Seed: a whole number from 0. Together with `step`, it determines the offsets of the windows. */
  readonly seed: number;
  /** Number of the optimizer step. The random numbers are different in each step. */
  readonly step: number;
  /**
   * Number of the micro-batch in the step. The micro-batch contains rows [microStep·B, (microStep + 1)·B) of the step.
   * Default 0.
   */
  readonly microStep?: number;
}

/**
 * Writes a row of a batch: the window of `tokens` that begins at index `from`. With `begin`, the first input is
 * `begin`, and all tokens of the window are targets. Without `begin`, the first token of the window is an input but not
 * a target.
 */
export const setWindow = (
  { x, y, time }: Pick<Batch, "x" | "y" | "time">,
  row: number,
  tokens: Int32Array,
  from: number,
  begin: number | undefined,
): void => {
  const at = row * time;
  if (begin === undefined) {
    x.set(tokens.subarray(from, from + time), at);
    y.set(tokens.subarray(from + 1, from + 1 + time), at);
    return;
  }
  x[at] = begin;
  x.set(tokens.subarray(from, from + time - 1), at + 1);
  y.set(tokens.subarray(from, from + time), at);
};

/** Number of random words that one `integer` uses, and number of words in a block of the stream. */
const wordsPerInteger = 2;
const wordsPerBlock = 4;

/**
 * Draws the rows of a step in order, starting at row `firstRow`. Each call returns a batch of the next `rows` rows in
 * new arrays.
 */
const rowDrawer = (
  tokens: Int32Array,
  { contextLength: time, seed, step }: TrainingBatchOptions,
  firstRow: number,
  begin?: number,
): ((rows: number) => Batch) => {
  checkTokenCounts({ train: tokens.length }, time);
  const rowsPerBlock = wordsPerBlock / wordsPerInteger;
  const stream = randomStream(randomKey(seed, "batches", step), Math.floor(firstRow / rowsPerBlock));
  for (let skipped = 0; skipped < firstRow % rowsPerBlock; skipped++) stream.integer(1);
  const offsets = tokens.length - time;
  return (rows) => {
    const x = new Int32Array(rows * time);
    const y = new Int32Array(rows * time);
    for (let row = 0; row < rows; row++) setWindow({ x, y, time }, row, tokens, stream.integer(offsets), begin);
    return { x, y, rows, time };
  };
};

/**
 * Draws a batch of windows at uniformly random offsets, in new arrays. Row r of a step depends only on (seed, step, r).
 * A resumed run therefore gets the same batches as an uninterrupted run. For the same reason, k accumulated
 * micro-batches of B rows equal one batch of k·B rows.
 * @experimental
 * @param tokens the training split, with at least contextLength + 1 tokens.
 * @throws DataError for fewer tokens.
 */
export const trainingBatch = (tokens: Int32Array, options: TrainingBatchOptions): Batch => {
  checkTrainingBatch(tokens, options);
  const { batchSize, microStep = 0 } = options;
  return rowDrawer(tokens, options, microStep * batchSize)(batchSize);
};

/** Number of forward passes into which a batch of `rows` rows is divided. Each pass has about `tokens` tokens. */
export const passCount = (rows: number, time: number, tokens: number): number =>
  Math.min(rows, Math.max(1, Math.round((rows * time) / tokens)));

/** Forward passes [from, to) of a batch. */
export interface PassRange {
  readonly from: number;
  readonly to: number;
}

/** Index in the batch of a forward pass's first row. */
export const firstRowOfPass = (rows: number, time: number, tokens: number, pass: number): number =>
  Math.floor((rows * pass) / passCount(rows, time, tokens));

/**
 * Number of rows of each forward pass of a batch. Each pass has about `tokens` tokens. A row is never cut, and the row
 * counts of two passes differ by at most one.
 * @param range range of passes. Default: all.
 */
export function* passRows(
  rows: number,
  time: number,
  tokens: number,
  { from, to }: PassRange = { from: 0, to: passCount(rows, time, tokens) },
): Generator<number, void, undefined> {
  let done = firstRowOfPass(rows, time, tokens, from);
  for (let pass = from + 1; pass <= to; pass++) {
    const end = firstRowOfPass(rows, time, tokens, pass);
    yield end - done;
    done = end;
  }
}

/**
 * Yields the rows of `trainingBatch` in order, divided into forward passes by `passRows`. Each pass is drawn only when
 * it is needed. The needed memory therefore depends on `tokensPerPass`, not on the batch size. Passes before `range`
 * are not drawn.
 * @param tokens as for `trainingBatch`.
 * @param range range of passes. Default: all.
 * @param begin a token with which each row begins. Default: none.
 * @throws DataError for too few tokens.
 */
export function* trainingPasses(
  tokens: Int32Array,
  options: TrainingBatchOptions,
  tokensPerPass: number,
  range?: PassRange,
  begin?: number,
): Generator<Batch, void, undefined> {
  const { batchSize, contextLength, microStep = 0 } = options;
  const skipped = firstRowOfPass(batchSize, contextLength, tokensPerPass, range?.from ?? 0);
  const draw = rowDrawer(tokens, options, microStep * batchSize + skipped, begin);
  for (const rows of passRows(batchSize, contextLength, tokensPerPass, range)) yield draw(rows);
}

/** Makes a batch in new arrays. */
export type MakeBatch = () => Batch;

/**
 * Options of `evaluationWindows`.
 * @experimental
 */
export interface EvaluationOptions {
  /** Number of tokens of a window, T. A whole number from 1. */
  readonly contextLength: number;
  /** Maximum number of rows of a batch. */
  readonly batchSize: number;
}

/**
 * Yields the whole array `tokens` in order, in windows of contextLength tokens that do not overlap. Every token after
 * the first is a target exactly once, so a mean over all targets has no sampling noise. A shorter last window is a
 * batch of one row, with `time` below contextLength. For fewer than two tokens, there are no batches.
 * @experimental
 */
export function* evaluationWindows(tokens: Int32Array, options: EvaluationOptions): Generator<Batch, void, undefined> {
  for (const make of windowsToMake(tokens, options)) yield make();
}

/**
 * Functions that make the batches of `evaluationWindows`; a batch is made only when its function is called.
 * @param begin a token with which each window begins; then every token is a target. Default: none.
 */
export function* windowsToMake(
  tokens: Int32Array,
  options: EvaluationOptions,
  begin?: number,
): Generator<MakeBatch, void, undefined> {
  checkEvaluationWindows(tokens, options);
  const { contextLength, batchSize } = options;
  const predictions = Math.max(tokens.length - (begin === undefined ? 1 : 0), 0);
  const fullWindows = Math.floor(predictions / contextLength);
  const stretch = (from: number, rows: number, time: number) => (): Batch => {
    const batch = { x: new Int32Array(rows * time), y: new Int32Array(rows * time), rows, time };
    for (let row = 0; row < rows; row++) setWindow(batch, row, tokens, from + row * time, begin);
    return batch;
  };
  for (let window = 0; window < fullWindows; window += batchSize) {
    yield stretch(window * contextLength, Math.min(batchSize, fullWindows - window), contextLength);
  }
  const rest = predictions - fullWindows * contextLength;
  if (rest > 0) yield stretch(fullWindows * contextLength, 1, rest);
}

/**
 * Checks that there is a token to predict.
 * @param where name of the tokens in errors.
 * @throws DataError for fewer than two tokens.
 */
export const checkPredictable = (tokens: number, where: string, hint: string): void => {
  if (tokens >= 2) return;
  throw new DataError({ where, must: "the text must have at least 2 tokens", got: `${tokens}`, hint });
};

/** Number of tokens of each split. Unused splits are left out. */
export interface TokenCounts {
  readonly train?: number;
  readonly val?: number;
}

/**
 * Checks that a text is long enough before anything is built. Training needs one window and one more token for the last
 * target. Evaluation needs one input and its target.
 * @param heldOut name of the option that sets the validation part, for the hint.
 * @throws DataError that names the split, its length and a hint.
 */
export const checkTokenCounts = (
  counts: TokenCounts,
  contextLength: number,
  heldOut: HeldOutOption = "valData",
): void => {
  if (counts.train !== undefined && counts.train < contextLength + 1) {
    const fits = counts.train - 1;
    const heldOut = counts.val === undefined ? "" : `, and ${counts.val} held out`;
    throw new DataError({
      where: "training split",
      must: `the part of the text to learn from must have at least ${contextLength + 1} tokens, one more than the context`,
      got: `${counts.train}${heldOut}`,
      hint: `more text${fits >= 1 ? `, model.contextLength ${fits} or less` : ""}, or a smaller valFraction`,
    });
  }
  if (counts.val !== undefined) {
    checkPredictable(counts.val, "validation split", `more text, a larger valFraction, or another ${heldOut}`);
  }
};
