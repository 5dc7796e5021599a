import { checkOptions } from "../../core/checks/check-arguments.ts";
import { isRecord } from "../../core/checks/is-record.ts";
import { ConfigError } from "../../core/errors/errors.ts";
import { show } from "../../core/text/show.ts";
import type { Evaluation, WindowLoss } from "./evaluate.ts";

/** A difference of two losses on the same windows, with its noise. */
export interface LossDifference {
  /** The first loss minus the second, nats per token: below 0, the first model predicts better. */
  readonly natsPerToken: number;
  /** Of `natsPerToken`. */
  readonly standardError: number;
  /** The same per character. */
  readonly natsPerCharacter: number;
  /** Of `natsPerCharacter`. */
  readonly standardErrorPerCharacter: number;
  /** Number of windows, n. */
  readonly windows: number;
}

const windowsOf = (where: string, evaluation: Evaluation): readonly WindowLoss[] => {
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
 * The difference of two models' losses on the same windows of a text, and its standard error. Windows are paired, so what makes
 * a window hard for both models cancels:
 *
 *   d = Σ dᵢ / Σ tᵢ     standard error = √(n / (n − 1) · Σ (dᵢ − d·tᵢ)²) / Σ tᵢ
 *
 * with dᵢ the difference of window i in nats and tᵢ its tokens (the ratio estimator; Cochran 1977, "Sampling Techniques", 6.4).
 * It says how far the difference would be another on other windows of such a text; not how it depends on the seed of a training.
 * @param one of `evaluate` with `windows: true`.
 * @param other the same, of another model with the same tokenizer on the same text.
 * @throws ConfigError for evaluations without windows, of other windows, or of fewer than two.
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
  const windows = first.length;
  if (windows < 2) {
    throw new ConfigError({
      where: "compareEvaluations",
      must: "there must be at least two windows",
      got: String(windows),
      hint: "more text, or a smaller contextLength",
    });
  }
  const { tokens } = one;
  const differences = first.map(({ nats }, i) => nats - (second[i] as WindowLoss).nats);
  const difference = differences.reduce((sum, value) => sum + value, 0) / tokens;
  const squares = first.reduce((sum, window, i) => {
    const rest = (differences[i] as number) - difference * window.tokens;
    return sum + rest * rest;
  }, 0);
  const standardError = Math.sqrt((windows / (windows - 1)) * squares) / tokens;
  // As many characters in both.
  const tokensPerCharacter = one.natsPerCharacter / one.natsPerToken;
  return {
    natsPerToken: difference,
    standardError,
    natsPerCharacter: difference * tokensPerCharacter,
    standardErrorPerCharacter: standardError * tokensPerCharacter,
    windows,
  };
};
