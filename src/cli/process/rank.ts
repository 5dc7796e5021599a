/** Behaviour of the command as an MPI rank: only rank 0 prints output. */
import { setTimeout } from "node:timers/promises";
import { ConfigError } from "../../core/errors/errors.ts";
import { launchedRank } from "../../core/system/launched-rank.node.ts";

/** Whether this process is a rank without output. Such a rank prints only its failure. */
export const isFollower = (): boolean => (launchedRank()?.rank ?? 0) > 0;

/** Commands that may run on several ranks: train divides its work among the ranks, and info only prints facts. */
const commandsOfRanks = new Set(["train", "info"]);

/** Error for a command that would run completely on each rank. Undefined if the command may run. */
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

/**
 * Time in milliseconds that a failed rank waits before it reports the failure. A lower rank may report the same failure
 * in this time.
 */
const firstWait = 1500;
const waitPerRank = 250;
const longestWait = 5000;

/**
 * Start of this rank's error line: "rank 2 of 4: ". A mistake in a flag fails on every rank: rank 0 reports it and ends
 * all ranks. The other ranks wait first, so they report only their own failures.
 */
export const failedRank = async (): Promise<string> => {
  const launched = launchedRank();
  if (launched === null || launched.rank === 0) return "";
  const { rank, size } = launched;
  await setTimeout(Math.min(firstWait + waitPerRank * rank, longestWait));
  return `rank ${rank} of ${size}: `;
};
