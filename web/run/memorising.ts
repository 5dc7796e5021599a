/**
 * Whether a run memorises its text. Only the run's evaluations determine this, so the result is the same during
 * training and after a reload.
 */
import { hasRisen } from "../../src/runs/rise.ts";
import type { RunData } from "./run-data.ts";

export interface Memorising {
  readonly bestStep: number;
  readonly bestValLoss: number;
  readonly valLoss: number;
}

/** Evaluations, ordered by step. */
export interface Evaluations {
  readonly step: ArrayLike<number>;
  readonly valLoss: ArrayLike<number>;
  /** NaN if unknown. */
  readonly trainLoss: ArrayLike<number>;
  readonly length: number;
}

/**
 * Says that the run memorises its text. Undefined if it does not. The last validation loss must be clearly above the
 * best validation loss, and the training loss must have fallen between the two evaluations. The evaluation before the
 * first step has no training loss, so a rise after this evaluation does not count.
 */
export const memorisingAt = ({ step, valLoss, trainLoss, length }: Evaluations): Memorising | undefined => {
  let best = -1;
  for (let i = 0; i < length; i++) if (best < 0 || (valLoss[i] as number) < (valLoss[best] as number)) best = i;
  const last = length - 1;
  if (best < 0 || best === last) return undefined;
  const [lowest, now] = [valLoss[best] as number, valLoss[last] as number];
  if (!hasRisen(now, lowest, last - best) || !((trainLoss[last] as number) < (trainLoss[best] as number)))
    return undefined;
  return { bestStep: step[best] as number, bestValLoss: lowest, valLoss: now };
};

export const memorisingOf = ({ evals }: RunData): Memorising | undefined =>
  memorisingAt({
    step: evals.column("step"),
    valLoss: evals.column("valLoss"),
    trainLoss: evals.column("trainLoss"),
    length: evals.length,
  });
