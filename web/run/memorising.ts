/** Whether a run learns its text by heart: the same from its evaluations alone, while it trains and after a reload. */
import { hasRisen } from "../../src/runs/rise.ts";
import type { RunData } from "./run-data.ts";

export interface Memorising {
  readonly bestStep: number;
  readonly bestValLoss: number;
  readonly valLoss: number;
}

/** Evaluations in the order of their steps. */
export interface Evaluations {
  readonly step: ArrayLike<number>;
  readonly valLoss: ArrayLike<number>;
  /** NaN where it is not known. */
  readonly trainLoss: ArrayLike<number>;
  readonly length: number;
}

/**
 * Set as long as the last validation loss is clearly above the best one, and the training loss has fallen since. Before a
 * run's first steps nothing is learned, so that a rise from there is none of memory: there the training loss is not known.
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
