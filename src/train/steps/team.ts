/** Machines that train one model together: each takes a share of every step's passes. */
import type { Backend } from "../../backend/backend.ts";
import { ConfigError } from "../../core/errors.ts";
import type { Arena } from "../../models/arena.ts";
import { middleOf } from "./gradient-sum.ts";

/** This machine's place in the team, and the sum over the team. */
export interface Team {
  /** This machine's number, from 0. */
  readonly rank: number;
  /** Number of machines: a power of two. */
  readonly size: number;
  /**
   * Called once per step, between the backward passes and the gradient's norm. Replaces this machine's gradients by the
   * sum over all machines, and returns the sum of their losses. Same bits on every machine, added along the tree of
   * `gradient-sum.ts`: first ranks 2i and 2i + 1, then pairs, and so on.
   * @param gradients in the backend's memory: the sum over this machine's passes.
   * @param loss nats per token of the whole step: this machine's part of the mean.
   */
  reduce(backend: Backend, gradients: Arena, loss: number): Promise<number>;
}

/** A team as a run needs it: what depends on a clock, a signal or a disk is decided by rank 0, for all. */
export interface RunTeam extends Team {
  /** Computes on rank 0 alone, and returns its result on every machine. Called at the same point of the run on all. */
  fromFirst<T>(compute: () => Promise<T>): Promise<T>;
  /** Every machine's value, in the order of ranks. Called at the same point of the run on all. */
  gather<T>(value: T): Promise<readonly T[]>;
  /** Asks this machine to stop: what it computes alone may be broken off at once. */
  readonly asked: AbortSignal | undefined;
  /** Aborted on every machine at the same point of the run, after one of them was asked to stop. */
  readonly agreed: AbortSignal | undefined;
}

/** One machine: its sums are the step's. */
export const alone: Team = { rank: 0, size: 1, reduce: async (_backend, _gradients, loss) => loss };

/** A run on one machine. @param signal asks it to stop. */
export const runAlone = (signal: AbortSignal | undefined): RunTeam => ({
  ...alone,
  fromFirst: (compute) => compute(),
  gather: async (value) => [value],
  asked: signal,
  agreed: signal,
});

/** Passes [from, to) of a step. */
export interface Share {
  readonly from: number;
  readonly to: number;
}

/**
 * This machine's share of a step: a branch of the tree of its passes.
 * @param count passes of a step.
 * @throws ConfigError if there are fewer passes than machines, or if the number of machines is no power of two.
 */
export const shareOf = (count: number, { rank, size }: Pick<Team, "rank" | "size">): Share => {
  if (!Number.isInteger(Math.log2(size)) || !(Number.isInteger(rank) && rank >= 0 && rank < size)) {
    throw new ConfigError({
      where: "team",
      must: "the number of machines must be a power of two, and ranks go from 0 to below it",
      got: `rank ${rank} of ${size}`,
    });
  }
  if (count < size) {
    throw new ConfigError({
      where: "train.gradAccumSteps",
      must: `a step must have a pass for each of ${size} machines`,
      got: String(count),
      hint: `train.gradAccumSteps ${size} with a smaller train.batchSize`,
    });
  }
  let { from, to }: Share = { from: 0, to: count };
  for (let half = size / 2; half >= 1; half /= 2) {
    const middle = middleOf(from, to);
    const isSecond = Math.floor(rank / half) % 2 === 1;
    [from, to] = isSecond ? [middle, to] : [from, middle];
  }
  return { from, to };
};
