import { checkOptions } from "../core/checks/check-arguments.ts";
import { isRecord } from "../core/checks/is-record.ts";
import { ConfigError } from "../core/errors/errors.ts";
import { show } from "../core/text/show.ts";
import type { Evaluation, WindowLoss } from "./evaluate.ts";
import { halfWidthOfMean } from "./half-width.ts";

/** Half the width of a confidence interval, in the units of a loss. */
export interface HalfWidth {
  /** Nats per token. */
  readonly natsPerToken: number;
  /** Nats per character. */
  readonly natsPerCharacter: number;
}

/** Difference between two losses on the same windows, and its uncertainty on similar texts. */
export interface LossDifference {
  /**
   * The first loss minus the second loss, in nats per token. A value below 0 means that the first model predicts
   * better.
   */
  readonly natsPerToken: number;
  /** The same difference in nats per character. */
  readonly natsPerCharacter: number;
  /**
   * Half the width of the 95% confidence interval around the difference. On 95 of 100 parts of a long text, the
   * interval should contain the difference on the whole text. In measurements this was true for 89% to 99.9% of the
   * parts, depending on the text (`node bench/intervals.mjs`). `null` if the text has fewer than 8 blocks.
   */
  readonly halfWidth95: HalfWidth | null;
  /**
   * Number of blocks for computing the interval: 16, or the number of windows if it is smaller. A block consists of
   * consecutive windows. All blocks have about the same number of windows.
   */
  readonly blocks: number;
  /** Number of windows. */
  readonly windows: number;
}

/**
 * Maximum number of blocks. This number is enough to estimate the correlation of blocks. With more blocks, each block
 * would be shorter, and its noise would hide the correlation of long blocks. `bench/intervals.mjs` then finds narrower
 * intervals for prose, but intervals for code that are wrong too often.
 */
export const mostBlocks = 16;
/** Minimum number of blocks. Fewer blocks are not enough to estimate how similar blocks are. */
export const fewestBlocks = 8;

export const sumOf = (numbers: readonly number[]): number => numbers.reduce((sum, value) => sum + value, 0);

/**
 * Splits `rests` into `count` parts of about equal length. Sums each part, and divides the sum by `tokens`, the number
 * of tokens of a part.
 */
export const blocksOf = (rests: readonly number[], count: number, tokens: number): readonly number[] => {
  const beginOf = (block: number): number => Math.round((block * rests.length) / count);
  return Array.from({ length: count }, (_, i) => sumOf(rests.slice(beginOf(i), beginOf(i + 1))) / tokens);
};

/** @throws ConfigError if an evaluation does not contain the losses of its windows. */
export const windowsOf = (where: string, evaluation: Evaluation): readonly WindowLoss[] => {
  checkOptions(where, evaluation);
  const windows: unknown = Reflect.get(evaluation, "windows");
  const isWindow = (value: unknown): value is WindowLoss =>
    isRecord(value) && Number.isFinite(value.nats) && Number.isInteger(value.tokens);
  if (Array.isArray(windows) && windows.every(isWindow)) return windows;
  throw new ConfigError({
    where,
    must: "must have the loss of each window",
    got: show(windows),
    hint: "evaluate(lm, { …, windows: true })",
  });
};

/**
 * The difference between two models' losses on the same windows of a text, with its 95% confidence interval. Windows
 * are paired, so the difficulty of a window for both models cancels:
 *
 *     d = Σ dᵢ / Σ tᵢ
 *
 * with dᵢ the difference of window i in nats and tᵢ its tokens (the ratio estimator; Cochran 1977, "Sampling
 * Techniques", 6.4). The interval is computed from the residuals dᵢ − d·tᵢ, summed over blocks of consecutive windows.
 * Blocks are modelled as fractional Gaussian noise with an unknown exponent, because parts of a text are correlated at
 * every distance (Tyralis and Koutsoyiannis 2014). Documents count as windows, in their order.
 *
 * The interval describes how much the difference could change on similar texts. The interval does not describe how the
 * difference depends on the training seed. `node bench/intervals.mjs` counts how often the interval is right.
 * @param one result of `evaluate` with `windows: true`.
 * @param other result for another model with the same tokenizer, on the same text.
 * @throws ConfigError for evaluations without windows, or with different windows.
 */
export const compareEvaluations = (one: Evaluation, other: Evaluation): LossDifference => {
  const first = windowsOf("compareEvaluations: one", one);
  const second = windowsOf("compareEvaluations: other", other);
  if (first.length !== second.length || first.some(({ tokens }, i) => tokens !== second[i]?.tokens)) {
    throw new ConfigError({
      where: "compareEvaluations",
      must: "both evaluations must have the same windows",
      got: `${first.length} windows of ${one.tokens} tokens, and ${second.length} of ${other.tokens}`,
      hint: "the same text, contextLength and tokenizer",
    });
  }
  const { tokens } = one;
  const differences = first.map(({ nats }, i) => nats - (second[i] as WindowLoss).nats);
  const difference = sumOf(differences) / tokens;
  const rests = first.map((window, i) => (differences[i] as number) - difference * window.tokens);
  const windows = first.length;
  const blocks = Math.min(mostBlocks, windows);
  const halfWidth = blocks < fewestBlocks ? null : halfWidthOfMean(blocksOf(rests, blocks, tokens / blocks));
  // Both evaluations have the same number of characters.
  const tokensPerCharacter = one.natsPerCharacter / one.natsPerToken;
  return {
    natsPerToken: difference,
    natsPerCharacter: difference * tokensPerCharacter,
    halfWidth95:
      halfWidth === null ? null : { natsPerToken: halfWidth, natsPerCharacter: halfWidth * tokensPerCharacter },
    blocks,
    windows,
  };
};
