/** Machines that train one model together: each takes a share of every step's passes. */
import { ConfigError } from "../core/errors/errors.ts";
import type { Range } from "../models/pieces.ts";
import { middleOf } from "./gradient-sum.ts";

/** Elements [from, to) of an array that one machine owns. */
export interface OwnedRange extends Range {
  /** Number of the owning machine. */
  readonly owner: number;
}

/**
 * This machine's number in the team, and the operations that all machines do together. All machines call the same
 * functions in the same order. A call may begin before an earlier call has ended.
 */
export interface Team {
  /** This machine's number, from 0. */
  readonly rank: number;
  /** Number of machines: a power of two. */
  readonly size: number;
  /**
   * Replaces the elements of this machine's ranges by their sums over all machines. They are added along the tree of
   * `gradient-sum.ts`: first machines 2i and 2i + 1, then pairs of machines, and so on. Ranges of other machines then
   * hold partial sums.
   * @param ranges equal on all machines.
   * @param urgent whether this machine waits for the result; if not, it computes meanwhile.
   */
  reduceScatter(array: Float32Array, ranges: readonly OwnedRange[], urgent: boolean): Promise<void>;
  /** Fills each range with the elements of its owner. @param ranges equal on all machines. */
  allGather(array: Float32Array, ranges: readonly OwnedRange[]): Promise<void>;
  /** Sums a number over all machines, along the same tree. */
  total(value: number): Promise<number>;
  /**
   * Reports that this machine failed: its array transfers end, if necessary with an error, so that the arrays can be
   * freed.
   */
  giveUp(): void;
}

/**
 * A team with functions for a whole run. If a decision depends on a clock or a disk, rank 0 makes it for all machines.
 */
export interface RunTeam extends Team {
  /**
   * Computes on rank 0 only, and returns its result on every machine. All machines call it at the same point of the
   * run.
   */
  fromFirst<T>(compute: () => Promise<T>): Promise<T>;
  /**
   * Gathers the numbers of every machine, in the order of ranks; all arrays have equal length. All machines call it at
   * the same point of the run. If one machine was asked to stop, it tells the other machines, and `agreed` is aborted.
   */
  gather(values: Float64Array): Promise<readonly Float64Array[]>;
  /** Gathers a value of every machine, in the order of ranks. All machines call it at the same point of the run. */
  collect<T>(value: T): Promise<readonly T[]>;
  /** Aborted when this machine is asked to stop. The machine may then interrupt at once any work that it does alone. */
  readonly asked: AbortSignal | undefined;
  /** Aborted on every machine at the same point of the run, after one machine was asked to stop. */
  readonly agreed: AbortSignal | undefined;
}

/** A team of one machine. */
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
 * This machine's share of a step: passes [from, to), a branch of the tree of passes.
 * @param count number of passes of a step.
 * @throws ConfigError if there are fewer passes than machines, or if the number of machines is not a power of two.
 */
export const shareOf = (count: number, { rank, size }: Pick<Team, "rank" | "size">): Range => {
  if (!Number.isInteger(Math.log2(size)) || !(Number.isInteger(rank) && rank >= 0 && rank < size)) {
    throw new ConfigError({
      where: "team",
      must: "the number of machines must be a power of two, and each rank at least 0 and below that number",
      got: `rank ${rank} of ${size}`,
    });
  }
  if (count < size) {
    throw new ConfigError({
      where: "train.gradAccumSteps",
      must: `a step must have at least one pass for each of ${size} machines`,
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
