/** Machines that train one model together: each takes a share of every step's passes. */
import { ConfigError } from "../core/errors/errors.ts";
import type { Range } from "../models/pieces.ts";
import { middleOf } from "./gradient-sum.ts";

/** Elements [from, to) of an array, which belong to one machine. */
export interface OwnedRange extends Range {
  /** The machine's number. */
  readonly owner: number;
}

/**
 * This machine's place in the team, and what the machines do together: all call the same functions in the same order, and may
 * call one before another has ended.
 */
export interface Team {
  /** This machine's number, from 0. */
  readonly rank: number;
  /** Number of machines: a power of two. */
  readonly size: number;
  /**
   * Replaces the elements of this machine's ranges by their sums over all machines, added along the tree of `gradient-sum.ts`:
   * first machines 2i and 2i + 1, then pairs, and so on. The elements of other ranges are sums over some machines then.
   * @param ranges the same on all machines.
   * @param urgent whether this machine waits for it; else it computes meanwhile.
   */
  reduceScatter(array: Float32Array, ranges: readonly OwnedRange[], urgent: boolean): Promise<void>;
  /** Fills each range with its owner's elements. @param ranges the same on all machines. */
  allGather(array: Float32Array, ranges: readonly OwnedRange[]): Promise<void>;
  /** The sum of a number over all machines, added along the same tree. */
  total(value: number): Promise<number>;
  /** This machine has failed: what it has begun with arrays ends, with an error if need be, so that they can be freed. */
  giveUp(): void;
}

/** A team as a run needs it: what depends on a clock or a disk is decided by rank 0, for all. */
export interface RunTeam extends Team {
  /** Computes on rank 0 alone, and returns its result on every machine. Called at the same point of the run on all. */
  fromFirst<T>(compute: () => Promise<T>): Promise<T>;
  /**
   * The numbers of every machine, in the order of ranks; each gives as many. Called at the same point of the run on all.
   * A machine that was asked to stop tells the others: then `agreed` is aborted.
   */
  gather(values: Float64Array): Promise<readonly Float64Array[]>;
  /** Every machine's value, in the order of ranks. Called at the same point of the run on all. */
  collect<T>(value: T): Promise<readonly T[]>;
  /** Asks this machine to stop: what it computes alone may be broken off at once. */
  readonly asked: AbortSignal | undefined;
  /** Aborted on every machine at the same point of the run, after one of them was asked to stop. */
  readonly agreed: AbortSignal | undefined;
}

/** One machine: its sums are the step's. */
export const alone: Team = {
  rank: 0,
  size: 1,
  reduceScatter: async () => {},
  allGather: async () => {},
  total: async (value) => value,
  giveUp: () => {},
};

/** A run on one machine. @param signal asks it to stop. */
export const runAlone = (signal: AbortSignal | undefined): RunTeam => ({
  ...alone,
  fromFirst: (compute) => compute(),
  gather: async (values) => [values],
  collect: async (value) => [value],
  asked: signal,
  agreed: signal,
});

/**
 * This machine's share of a step: passes [from, to), a branch of the tree of its passes.
 * @param count passes of a step.
 * @throws ConfigError if there are fewer passes than machines, or if the number of machines is no power of two.
 */
export const shareOf = (count: number, { rank, size }: Pick<Team, "rank" | "size">): Range => {
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
  let { from, to }: Range = { from: 0, to: count };
  for (let half = size / 2; half >= 1; half /= 2) {
    const middle = middleOf(from, to);
    const isSecond = Math.floor(rank / half) % 2 === 1;
    [from, to] = isSecond ? [middle, to] : [from, middle];
  }
  return { from, to };
};
