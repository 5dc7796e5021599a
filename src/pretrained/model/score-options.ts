/**
 * Options of `score`, and their checks. They are separate from `score`, because a caller of another thread needs only
 * them.
 */
import { checkKeys, checkNumber, checkSignal } from "../../core/checks/check-arguments.ts";
import { ConfigError } from "../../core/errors/errors.ts";
import { show } from "../../core/text/show.ts";
import { mostCandidates } from "./likeliest.ts";

/** Options of `score`. */
export interface ScoreOptions {
  /**
   * Number of tokens from the start of one window to the start of the next window: an integer from 1 to the context
   * length T. Default: T, so windows do not overlap, as in `evaluate`. With a smaller stride, each token after the
   * first window sees at least T − stride tokens before it. The time is then multiplied by T / stride.
   */
  readonly stride?: number | undefined;
  /** Number of most probable tokens to return at each position: an integer from 0 to 50. Default: 0. */
  readonly candidates?: number | undefined;
  /** Signal that cancels the work; the signal's reason is thrown. Default: none. */
  readonly signal?: AbortSignal | undefined;
}

const checkCandidates = (candidates: unknown): void => {
  if (Number.isInteger(candidates) && (candidates as number) >= 0 && (candidates as number) <= mostCandidates) return;
  throw new ConfigError({
    where: "score: candidates",
    must: `must be a whole number from 0 to ${mostCandidates}`,
    got: show(candidates),
  });
};

/** Checks the options of `score`. @throws ConfigError */
export const checkScoreOptions = (options: unknown): void => {
  checkKeys("score", options, ["stride", "candidates", "signal"]);
  const { stride, candidates, signal } = options as ScoreOptions;
  if (stride !== undefined) checkNumber("score: stride", stride);
  if (candidates !== undefined) checkCandidates(candidates);
  checkSignal("score: signal", signal);
};
