import { checkOptions } from "../core/checks/check-arguments.ts";
import { isRecord } from "../core/checks/is-record.ts";
import { ConfigError } from "../core/errors/errors.ts";
import { show } from "../core/text/show.ts";
import type { Evaluation, WindowLoss } from "./evaluate.ts";
import { halfWidthOfMean } from "./half-width.ts";

/** Half the width of an interval, in the units of a loss. */
export interface HalfWidth {
  /** Nats per token. */
  readonly natsPerToken: number;
  /** Nats per character. */
  readonly natsPerCharacter: number;
}

/** A difference of two losses on the same windows, and how far it may be another on more of such a text. */
export interface LossDifference {
  /** The first loss minus the second, nats per token: below 0, the first model predicts better. */
  readonly natsPerToken: number;
  /** The same per character. */
  readonly natsPerCharacter: number;
  /**
   * The difference ± this is its 95% interval: meant to contain the difference on the whole of a text of which these windows are a
   * part, for 95 of 100 such parts. Counted: 89% to 99.9%, by the text (`node bench/intervals.mjs`). `null`: the text is too short, fewer
   * than 8 blocks.
   */
  readonly halfWidth95: HalfWidth | null;
  /** Blocks of consecutive windows, about equally many in each, from which the interval follows: 16, or as many as there are windows. */
  readonly blocks: number;
  /** Number of windows. */
  readonly windows: number;
}

/**
 * Enough to tell how alike blocks are. More of them are shorter, and the noise of short blocks hides that long ones are alike:
 * `bench/intervals.mjs` then finds narrower intervals for prose, and of code too few that are right.
 */
export const mostBlocks = 16;
/** Fewer blocks say too little of how alike they are. */
export const fewestBlocks = 8;

export const sumOf = (numbers: readonly number[]): number => numbers.reduce((sum, value) => sum + value, 0);

/** Sums over `count` parts of `rests`, about equally many in each, in units of a part's `tokens`. */
export const blocksOf = (rests: readonly number[], count: number, tokens: number): readonly number[] => {
  const beginOf = (block: number): number => Math.round((block * rests.length) / count);
  return Array.from({ length: count }, (_, i) => sumOf(rests.slice(beginOf(i), beginOf(i + 1))) / tokens);
};

/** @throws ConfigError for an evaluation without the losses of its windows. */
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
 * The difference of two models' losses on the same windows of a text, with its 95% interval. Windows are paired, so what makes
 * a window hard for both models cancels:
 *
 *   d = Σ dᵢ / Σ tᵢ
 *
 * with dᵢ the difference of window i in nats and tᵢ its tokens (the ratio estimator; Cochran 1977, "Sampling Techniques", 6.4). The
 * interval follows from the rests dᵢ − d·tᵢ, summed over blocks of consecutive windows. Blocks are taken as fractional Gaussian noise with
 * an unknown exponent, since parts of a text are alike at every distance (Tyralis and Koutsoyiannis 2014). Documents are windows, too, in
 * their order.
 * The interval says how far the difference would be another on more of such a text; not how it depends on the seed of a training.
 * `node bench/intervals.mjs` counts how often it is right.
 * @param one of `evaluate` with `windows: true`.
 * @param other the same, of another model with the same tokenizer on the same text.
 * @throws ConfigError for evaluations without windows, or of other windows.
 */
export const compareEvaluations = (one: Evaluation, other: Evaluation): LossDifference => {
  const first = windowsOf("compareEvaluations: one", one);
  const second = windowsOf("compareEvaluations: other", other);
  if (first.length !== second.length || first.some(({ tokens }, i) => tokens !== second[i]?.tokens)) {
    throw new ConfigError({
      where: "compareEvaluations",
      must: "both evaluations must be of the same windows",
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
  // As many characters in both.
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
