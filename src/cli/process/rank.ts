/** The command line as one of the ranks that an MPI launcher has started: rank 0 speaks for all. */
import { setTimeout } from "node:timers/promises";
import { ConfigError } from "../../core/errors/errors.ts";
import { launchedRank } from "../../core/system/launched-rank.node.ts";

/** Whether this process is a rank that says nothing while all goes well. */
export const isFollower = (): boolean => (launchedRank()?.rank ?? 0) > 0;

/** Commands that several ranks may have: those that share out their work, and those that only tell something. */
const commandsOfRanks = new Set(["train", "info"]);

/** The error of a command that each of several ranks would do for itself; undefined if it may run. */
export const refusedOnRanks = (verb: string): ConfigError | undefined => {
  const launched = launchedRank();
  if (launched === null || commandsOfRanks.has(verb)) return undefined;
  return new ConfigError({
    where: verb,
    must: "must run as one process: only train divides its work among ranks",
    got: `${launched.size} ranks`,
    hint: "the same command without mpirun or srun",
  });
};

/** Milliseconds that a rank's failure waits for the lower ranks', in which it may be the same. */
const firstWait = 1500;
const waitPerRank = 250;
const longestWait = 5000;

/**
 * The beginning of this rank's line when it has failed: "rank 2 of 4: ". A mistake in a flag fails on every rank, and rank 0
 * tells it at once and ends all. So another rank waits, and speaks only if it has failed alone.
 */
export const failedRank = async (): Promise<string> => {
  const launched = launchedRank();
  if (launched === null || launched.rank === 0) return "";
  const { rank, size } = launched;
  await setTimeout(Math.min(firstWait + waitPerRank * rank, longestWait));
  return `rank ${rank} of ${size}: `;
};
