/**
 * Finds ranks of this machine whose processes are stopped, from the system's /proc (Linux only). It needs no connection
 * between ranks. So it also sees a process that has not yet run any code of this program, and it works while MPI
 * carries no messages.
 *
 * A rank may have several processes, for example with `mpirun -n 2 bash run.sh`. All of them descend from the launcher
 * and have the rank's number in their environment.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { type Launched, launchedRank } from "../../core/system/launched-rank.node.ts";

/** A rank of this machine. */
export interface LocalRank {
  readonly rank: number;
  /** The id of a stopped process of this rank; undefined if none is stopped. */
  readonly stopped: number | undefined;
}

interface Process {
  readonly parent: number;
  readonly state: string;
}

/** Text of a file in /proc; "" if its process has ended or belongs to another user. */
const readText = (path: string): string => {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
};

const processAt = (proc: string, pid: number): Process | undefined => {
  // Form of the file: "7 (name, with any characters) S 1 …".
  const [, state, parent] = /\) (\S) (\d+) [^)]*$/u.exec(readText(join(proc, String(pid), "stat"))) ?? [];
  return state === undefined ? undefined : { state, parent: Number(parent) };
};

const rankAt = (proc: string, pid: number): Launched | null => {
  const variables = readText(join(proc, String(pid), "environ")).split("\0");
  return launchedRank(Object.fromEntries(variables.map((one) => one.split(/=(.*)/su))));
};

const processesIn = (proc: string): ReadonlyMap<number, Process> => {
  const found = new Map<number, Process>();
  try {
    for (const name of readdirSync(proc)) {
      const one = /^\d+$/u.test(name) ? processAt(proc, Number(name)) : undefined;
      if (one !== undefined) found.set(Number(name), one);
    }
  } catch {
    // The system has no /proc, so it is not Linux.
  }
  return found;
};

const isSameRank = (one: Launched | null, other: Launched): boolean =>
  one?.rank === other.rank && one.size === other.size;

/** The nearest ancestor that does not belong to this rank; 0 if it is in another process namespace. */
const launcherOf = (proc: string, pid: number, own: Launched, all: ReadonlyMap<number, Process>): number => {
  let at = all.get(pid)?.parent ?? 0;
  while (at > 0 && isSameRank(rankAt(proc, at), own)) at = all.get(at)?.parent ?? 0;
  return at;
};

const descends = (pid: number, ancestor: number, all: ReadonlyMap<number, Process>): boolean => {
  let at = all.get(pid)?.parent ?? 0;
  while (at > 0 && at !== ancestor) at = all.get(at)?.parent ?? 0;
  return at === ancestor;
};

/**
 * The ranks of this machine in ascending order, this rank included. Empty where the system has no such information.
 * @param own this rank.
 * @param pid process id of this rank.
 * @param proc folder in which the system describes its processes.
 */
export const localRanks = (own: Launched, pid: number = process.pid, proc = "/proc"): readonly LocalRank[] => {
  const all = processesIn(proc);
  const launcher = launcherOf(proc, pid, own, all);
  if (launcher === 0) return [];
  const ranks = new Map<number, LocalRank>();
  for (const [one, { state }] of all) {
    if (!descends(one, launcher, all)) continue;
    const found = rankAt(proc, one);
    if (found === null || found.size !== own.size) continue;
    // State "t" does not count: a debugger causes it.
    const stopped = state === "T" ? one : ranks.get(found.rank)?.stopped;
    ranks.set(found.rank, { rank: found.rank, stopped });
  }
  return [...ranks.values()].sort((a, b) => a.rank - b.rank);
};
