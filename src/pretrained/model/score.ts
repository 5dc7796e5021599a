/** Log-probabilities of the tokens of a text. */

import { inferenceContext, withContext } from "../../autograd/context.ts";
import { readTensor } from "../../autograd/tensor.ts";
import { checkIdList } from "../../core/checks/check-arguments.ts";
import { ConfigError, ShapeError } from "../../core/errors/errors.ts";
import { logitsFault } from "../../core/errors/logits-fault.ts";
import { yieldToHost } from "../../core/system/yield.ts";
import { show } from "../../core/text/show.ts";
import { checkPredictable } from "../../data/batches.ts";
import { forward } from "../../models/forward.ts";
import type { Model } from "../../models/model.ts";
import { beginOf } from "../../tokenizer/begin.ts";
import { textStream } from "../../tokenizer/text-stream.ts";
import type { Tokenizer } from "../../tokenizer/tokenizer.ts";
import { whileOpen } from "./closed.ts";
import { type Candidate, likeliestOf, softmaxSum } from "./likeliest.ts";
import { checkScoreOptions, type ScoreOptions } from "./score-options.ts";

/** A token with its log-probability. */
export interface ScoredToken {
  /** From 0 to vocabSize − 1. */
  readonly id: number;
  /**
   * The text that this token completes. The text is empty if the token ends within a character. For a special token,
   * the text is the token's name. The concatenated texts of all tokens are the whole text.
   */
  readonly text: string;
  /**
   * ln p(token | previous tokens in its window), in nats, at most 0. Null for the first token, because nothing predicts
   * this token. But if the tokenizer has a BOS token and the text does not begin with BOS, BOS predicts the first
   * token.
   */
  readonly logProb: number | null;
  /**
   * The most probable tokens at this position, in descending order of probability. Tokens with equal probability are in
   * the order of their ids. Present only with the option `candidates` and if `logProb` is not null.
   */
  readonly candidates?: readonly Candidate[];
}

/** Log-probabilities of a text's tokens. */
export interface Score {
  /** Tokens in the text's order. */
  readonly tokens: readonly ScoredToken[];
  /** Sum of the log-probabilities, in nats. */
  readonly total: number;
  /** `total` divided by the number of predicted tokens. −mean is the loss, `natsPerToken` of `evaluate`. */
  readonly mean: number;
}

/** Maximum number of logits of one forward pass (64 MiB), because all logits of a forward pass are read at once. */
const mostLogits = 2 ** 24;
/** Maximum number of tokens of one forward pass. */
const mostTokens = 4096;

/**
 * Rows of windows that begin `stride` tokens apart. In each row, only the last `counted` targets are new; earlier rows
 * have counted the other targets.
 */
interface Rows {
  /** Index of the first row's first token. */
  readonly from: number;
  readonly rows: number;
  readonly time: number;
  readonly counted: number;
}

/** Windows over `predictions` targets. Rows of equal length are grouped into batches. Each target is counted once. */
function* windowsOf(predictions: number, contextLength: number, stride: number, most: number): Generator<Rows, void> {
  // The first window counts all its targets. If windows do not overlap, every window counts all its targets.
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

/** @throws ShapeError for the first invalid id */
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

/** Results for the tokens. */
interface Found {
  /** Number of tokens before the first predicted token: 0 or 1. */
  readonly unpredicted: number;
  readonly logProbs: Float64Array;
  /** Empty if no candidates are requested. */
  readonly candidates: readonly (readonly Candidate[])[];
}

/** Tokens with their texts. */
const scoredTokens = (
  ids: Int32Array,
  { unpredicted, logProbs, candidates }: Found,
  tokenizer: Tokenizer,
): readonly ScoredToken[] => {
  const stream = textStream(tokenizer, { showSpecialTokens: true });
  const last = ids.length - 1;
  return Array.from(ids, (id, index) => {
    const text = stream.push(id) + (index === last ? stream.end() : "");
    const own = candidates[index];
    return {
      ...{ id, text, logProb: index < unpredicted ? null : (logProbs[index] as number) },
      ...(own === undefined ? {} : { candidates: own }),
    };
  });
};

/** Implements `LanguageModel.score`. */
export const score = async (
  model: Model,
  tokenizer: Tokenizer,
  given: string | ArrayLike<number>,
  options: ScoreOptions = {},
): Promise<Score> => {
  checkScoreOptions(options);
  const { backend, vocabSize } = model;
  const { contextLength } = model.config;
  const { signal, candidates: most = 0 } = options;
  const stride = strideOf(options.stride, contextLength);
  const ids = typeof given === "string" ? tokenizer.encode(given, "text") : idsOf(given, vocabSize);
  const begin = beginOf(tokenizer);
  /** 1 if nothing predicts the first token. 0 if BOS predicts it, because the text itself does not begin with BOS. */
  const unpredicted = begin === undefined || ids[0] === begin ? 1 : 0;
  const targets = ids.subarray(unpredicted);
  checkPredictable(ids.length + 1 - unpredicted, "score: text", "more text, because nothing predicts the first token");
  const mostRows = Math.max(1, Math.floor(Math.min(mostTokens, mostLogits / vocabSize) / contextLength));
  const logProbs = new Float64Array(ids.length);
  const candidates: (readonly Candidate[])[] = [];
  const likeliest = most === 0 ? undefined : likeliestOf(tokenizer, most);
  for (const { from, rows, time, counted } of windowsOf(targets.length, contextLength, stride, mostRows)) {
    signal?.throwIfAborted();
    const x = new Int32Array(rows * time);
    for (let row = 0; row < rows; row++) {
      const first = from + row * stride;
      x[row * time] = begin ?? (ids[first] as number);
      x.set(targets.subarray(first, first + time - 1), row * time + 1);
    }
    const logits = await whileOpen("score", model, () =>
      withContext(inferenceContext(backend), (context) => readTensor(backend, forward(context, model, x, rows, time))),
    );
    for (let row = 0; row < rows; row++) {
      for (let t = time - counted; t < time; t++) {
        const place = from + row * stride + t + unpredicted;
        const at = (row * time + t) * vocabSize;
        const sum = softmaxSum(logits, at, vocabSize);
        logProbs[place] = (logits[at + (ids[place] as number)] as number) - sum.highest - Math.log(sum.sum);
        // Keep only the requested candidates, because the next forward pass reuses the logits' memory.
        if (likeliest !== undefined) candidates[place] = likeliest(logits, at, sum);
      }
    }
    await yieldToHost();
  }
  const total = logProbs.reduce((sum, value) => sum + value, 0);
  if (!Number.isFinite(total)) throw logitsFault("score", Number.NaN);
  return {
    tokens: scoredTokens(ids, { unpredicted, logProbs, candidates }, tokenizer),
    total,
    mean: total / targets.length,
  };
};
