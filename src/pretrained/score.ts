/** Log-probabilities of the tokens of a text. */
import { inferenceContext, withContext } from "../autograd/context.ts";
import { readTensor } from "../autograd/tensor.ts";
import { checkIdList, checkKeys, checkNumber, checkSignal } from "../core/check-arguments.ts";
import { ConfigError, ShapeError } from "../core/errors.ts";
import { show } from "../core/show.ts";
import { yieldToHost } from "../core/yield.ts";
import { checkPredictable } from "../data/batches.ts";
import { forward } from "../models/forward.ts";
import type { Model } from "../models/model.ts";
import { textStream } from "../tokenizer/text-stream.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import { whileOpen } from "./closed.ts";

/** Options of `score`. */
export interface ScoreOptions {
  /**
   * Tokens from the beginning of one window to that of the next: a whole number from 1 to the context length T. Default
   * T: the windows of `evaluate`, which do not overlap. With a smaller one each token after the first window sees at
   * least T − stride tokens before it, for T / stride times the work.
   */
  readonly stride?: number | undefined;
  /** Abort to end with the signal's reason. Default: none. */
  readonly signal?: AbortSignal | undefined;
}

/** A token with the model's log-probability of it. */
export interface ScoredToken {
  /** From 0 to vocabSize − 1. */
  readonly id: number;
  /**
   * The text that this token completes: empty while a character lacks bytes, the name of a special token. The texts of all
   * tokens add up to the whole text.
   */
  readonly text: string;
  /** ln p(token | tokens before it in its window), in nats, at most 0; null for the first token, which nothing predicts. */
  readonly logProb: number | null;
}

/** Log-probabilities of a text's tokens. */
export interface Score {
  /** In the text's order. */
  readonly tokens: readonly ScoredToken[];
  /** Sum of the log-probabilities, in nats. */
  readonly total: number;
  /** `total` per predicted token: all but the first. −mean is the loss, as `natsPerToken` of `evaluate`. */
  readonly mean: number;
}

/** Most logits of one forward pass, 64 MiB of them: they are read as a whole. */
const mostLogits = 2 ** 24;
/** Most tokens of one forward pass. */
const mostTokens = 4096;

/** Rows of windows that begin `stride` tokens apart: the last `counted` targets of each are predicted in no row before. */
interface Rows {
  /** Place of the first row's first token. */
  readonly from: number;
  readonly rows: number;
  readonly time: number;
  readonly counted: number;
}

/** The windows over `count` tokens, several of one size at a time: every token after the first is counted once. */
function* windowsOf(count: number, contextLength: number, stride: number, most: number): Generator<Rows, void> {
  const predictions = count - 1;
  // The first window counts all of its targets, and so does each one of non-overlapping windows.
  let from = 0;
  let done = 0;
  while (done < predictions) {
    const time = Math.min(contextLength, predictions - from);
    const counted = from + time - done;
    const following = Math.floor((predictions - from - time) / stride);
    const rows = time < contextLength || counted !== stride ? 1 : Math.min(most, 1 + following);
    yield { from, rows, time, counted };
    done += rows * counted;
    from += rows * stride;
  }
}

/** ln softmax(logits)[target], in double precision. */
const logProbOf = (logits: ArrayLike<number>, from: number, vocabSize: number, target: number): number => {
  let highest = Number.NEGATIVE_INFINITY;
  for (let v = 0; v < vocabSize; v++) highest = Math.max(highest, logits[from + v] as number);
  let sum = 0;
  for (let v = 0; v < vocabSize; v++) sum += Math.exp((logits[from + v] as number) - highest);
  return (logits[from + target] as number) - highest - Math.log(sum);
};

/** @throws ShapeError for the first id that is no token */
const idsOf = (given: ArrayLike<number>, vocabSize: number): Int32Array => {
  checkIdList("score: ids", given);
  const position = Array.prototype.findIndex.call(
    given,
    (id: unknown) => !Number.isInteger(id) || (id as number) < 0 || (id as number) >= vocabSize,
  );
  if (position === -1) return Int32Array.from(given);
  throw new ShapeError({
    where: "score: ids",
    must: `token ids must be whole numbers in [0, ${vocabSize})`,
    got: `${show(given[position])} at position ${position}`,
  });
};

const strideOf = (stride: unknown, contextLength: number): number => {
  if (stride === undefined) return contextLength;
  if (Number.isInteger(stride) && (stride as number) >= 1 && (stride as number) <= contextLength) return Number(stride);
  throw new ConfigError({
    where: "score: stride",
    must: `must be a whole number from 1 to the context length, ${contextLength}`,
    got: show(stride),
  });
};

/** Checks the form of the options of `score`. @throws ConfigError */
export const checkScoreOptions = (options: unknown): void => {
  checkKeys("score", options, ["stride", "signal"]);
  const { stride, signal } = options as ScoreOptions;
  if (stride !== undefined) checkNumber("score: stride", stride);
  checkSignal("score: signal", signal);
};

/** The tokens with their texts. */
const scoredTokens = (ids: Int32Array, logProbs: Float64Array, tokenizer: Tokenizer): readonly ScoredToken[] => {
  const stream = textStream(tokenizer, { showSpecialTokens: true });
  const last = ids.length - 1;
  return Array.from(ids, (id, index) => {
    const text = stream.push(id) + (index === last ? stream.end() : "");
    return { id, text, logProb: index === 0 ? null : (logProbs[index] as number) };
  });
};

/** `LanguageModel.score`. */
export const score = async (
  model: Model,
  tokenizer: Tokenizer,
  given: string | ArrayLike<number>,
  options: ScoreOptions = {},
): Promise<Score> => {
  checkScoreOptions(options);
  const { backend, vocabSize } = model;
  const { contextLength } = model.config;
  const { signal } = options;
  const stride = strideOf(options.stride, contextLength);
  const ids = typeof given === "string" ? tokenizer.encode(given, "text") : idsOf(given, vocabSize);
  checkPredictable(ids.length, "score: text", "more text: nothing predicts the first token");
  const most = Math.max(1, Math.floor(Math.min(mostTokens, mostLogits / vocabSize) / contextLength));
  const logProbs = new Float64Array(ids.length);
  for (const { from, rows, time, counted } of windowsOf(ids.length, contextLength, stride, most)) {
    signal?.throwIfAborted();
    const x = new Int32Array(rows * time);
    for (let row = 0; row < rows; row++)
      x.set(ids.subarray(from + row * stride, from + row * stride + time), row * time);
    const logits = await whileOpen("score", model, () =>
      withContext(inferenceContext(backend), (context) => readTensor(backend, forward(context, model, x, rows, time))),
    );
    for (let row = 0; row < rows; row++) {
      for (let t = time - counted; t < time; t++) {
        const place = from + row * stride + t + 1;
        logProbs[place] = logProbOf(logits, (row * time + t) * vocabSize, vocabSize, ids[place] as number);
      }
    }
    await yieldToHost();
  }
  const total = logProbs.reduce((sum, value) => sum + value, 0);
  if (!Number.isFinite(total)) {
    throw new ConfigError({
      where: "score",
      must: "log-probabilities must be finite",
      got: String(total),
      hint: "a model whose training went well",
    });
  }
  return { tokens: scoredTokens(ids, logProbs, tokenizer), total, mean: total / (ids.length - 1) };
};
