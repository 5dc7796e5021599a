import { DataError } from "../core/errors.ts";
import { randomKey, randomStream } from "../core/random.ts";
import { checkEvaluationWindows, checkTrainingBatch } from "./check-windows.ts";

/**
 * Shifted pairs. From ids[0..T] come inputs x = ids[0..T) and targets y = ids[1..T]: at every position the target is
 * the token after it. Both are row-major [rows, time].
 */
export interface Batch {
  readonly x: Int32Array;
  readonly y: Int32Array;
  readonly rows: number;
  readonly time: number;
}

/** Which windows `trainingBatch` draws. */
export interface TrainingBatchOptions {
  /** Rows of one micro-batch, B. */
  readonly batchSize: number;
  /** Tokens of a row, T. */
  readonly contextLength: number;
  readonly seed: number;
  /** Number of the optimizer step; each has its own random numbers. */
  readonly step: number;
  /** Which micro-batch of the step (default 0): rows [microStep·B, (microStep + 1)·B) of the step's rows. */
  readonly microStep?: number;
}

/** Random words that one `integer` of a stream takes, and words in one block of it. */
const wordsPerInteger = 2;
const wordsPerBlock = 4;

/**
 * A batch of windows at uniformly random offsets, as new arrays. Row r of a step is a pure function of
 * (seed, step, r), so a resumed run sees what an uninterrupted one would, and k accumulated micro-batches of B rows
 * are one batch of k·B rows.
 * @param tokens the training split; at least contextLength + 1 of them.
 * @throws DataError when there are fewer.
 */
export const trainingBatch = (tokens: Int32Array, options: TrainingBatchOptions): Batch => {
  checkTrainingBatch(tokens, options);
  const { batchSize, contextLength, seed, step, microStep = 0 } = options;
  checkTokenCounts({ train: tokens.length }, contextLength);
  const firstRow = microStep * batchSize;
  const rowsPerBlock = wordsPerBlock / wordsPerInteger;
  const stream = randomStream(randomKey(seed, "batches", step), Math.floor(firstRow / rowsPerBlock));
  for (let skipped = 0; skipped < firstRow % rowsPerBlock; skipped++) stream.integer(1);

  const x = new Int32Array(batchSize * contextLength);
  const y = new Int32Array(batchSize * contextLength);
  const offsets = tokens.length - contextLength;
  for (let row = 0; row < batchSize; row++) {
    const from = stream.integer(offsets);
    x.set(tokens.subarray(from, from + contextLength), row * contextLength);
    y.set(tokens.subarray(from + 1, from + 1 + contextLength), row * contextLength);
  }
  return { x, y, rows: batchSize, time: contextLength };
};

/**
 * The rows of a batch, in order, in as many parts of about `tokens` tokens as come nearest to that; a row is never cut.
 * No copies.
 */
export function* inPasses({ x, y, rows, time }: Batch, tokens: number): Generator<Batch, void, undefined> {
  const passes = Math.min(rows, Math.max(1, Math.round((rows * time) / tokens)));
  for (let pass = 0; pass < passes; pass++) {
    const [first, end] = [Math.floor((rows * pass) / passes), Math.floor((rows * (pass + 1)) / passes)];
    const part = (values: Int32Array): Int32Array => values.subarray(first * time, end * time);
    yield { x: part(x), y: part(y), rows: end - first, time };
  }
}

/** How `evaluationWindows` cuts a text. */
export interface EvaluationOptions {
  readonly contextLength: number;
  /** Most rows of one batch. */
  readonly batchSize: number;
}

/**
 * The whole of `tokens` in non-overlapping windows of contextLength, in order: every token after the first is a
 * target exactly once, so a mean over all targets has no sampling noise. A last window that is shorter comes as a
 * batch of its own: one row, `time` below contextLength. Fewer than two tokens give nothing.
 */
export function* evaluationWindows(tokens: Int32Array, options: EvaluationOptions): Generator<Batch, void, undefined> {
  checkEvaluationWindows(tokens, options);
  const { contextLength, batchSize } = options;
  const predictions = Math.max(tokens.length - 1, 0);
  const fullWindows = Math.floor(predictions / contextLength);
  // Full windows lie end to end, so a batch of them is one contiguous stretch.
  const stretch = (from: number, rows: number, time: number): Batch => ({
    x: tokens.slice(from, from + rows * time),
    y: tokens.slice(from + 1, from + 1 + rows * time),
    rows,
    time,
  });
  for (let window = 0; window < fullWindows; window += batchSize) {
    yield stretch(window * contextLength, Math.min(batchSize, fullWindows - window), contextLength);
  }
  const rest = predictions - fullWindows * contextLength;
  if (rest > 0) yield stretch(fullWindows * contextLength, 1, rest);
}

/**
 * Checks that there is something to predict.
 * @param where what the tokens are of.
 * @throws DataError for fewer than two tokens.
 */
export const checkPredictable = (tokens: number, where: string, hint: string): void => {
  if (tokens >= 2) return;
  throw new DataError({ where, must: "the text must have at least 2 tokens", got: `${tokens}`, hint });
};

/** Tokens of each split; a split that is not used is left out. */
export interface TokenCounts {
  readonly train?: number;
  readonly val?: number;
}

/**
 * Checks, before anything is built, that the text is long enough: a window and its last target to train on, and one
 * pair to evaluate on.
 * @throws DataError naming the split, its length and what to do.
 */
export const checkTokenCounts = (counts: TokenCounts, contextLength: number): void => {
  if (counts.train !== undefined && counts.train < contextLength + 1) {
    const fits = counts.train - 1;
    throw new DataError({
      where: "training split",
      must: `the text must have at least contextLength + 1 = ${contextLength + 1} tokens`,
      got: `${counts.train}`,
      hint: `more text${fits >= 1 ? `, model.contextLength ${fits} or less` : ""}, or a smaller valFraction`,
    });
  }
  if (counts.val !== undefined) {
    checkPredictable(counts.val, "validation split", "more text, a larger valFraction, or another valData");
  }
};
