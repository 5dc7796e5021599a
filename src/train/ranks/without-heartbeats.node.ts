/**
 * Watches the other ranks while MPI starts and ends: MPI_Init and MPI_Finalize wait for all ranks, and carry no
 * heartbeats (native/mpi/life.h). Without this watch, ranks would wait for ever for a rank that is stopped.
 *
 * For ranks of this machine, the system reports which process is stopped. Nothing is known about ranks on other
 * machines, or about a rank that is not stopped and never arrives. So the whole phase has a time limit, long enough for
 * machines that start at different speeds.
 */
import type { Launched } from "../../core/system/launched-rank.node.ts";
import type { LocalRank } from "./stopped.node.ts";

/** Phases of the MPI thread, numbered as in native/mpi/life.h. */
export const mpiPhase = { carrying: 0, beginning: 1, ending: 2 } as const;

/** Maximum seconds for all ranks to start or to end MPI. */
const longestPhase = 60;

/**
 * Milliseconds between two checks. After a longer gap, this process itself was stopped, so what it knows about the
 * other ranks is out of date.
 */
const wasStopped = 2000;

/**
 * When a rank is stopped, its last heartbeat is at most this many seconds old. The limit for a stopped process is
 * shorter by this time.
 */
const beatInterval = 1;

/** Seconds that the other ranks of a machine wait, so that only the first rank prints the error. */
const timeToSpeak = 2;

const saidOfPhase = {
  [mpiPhase.beginning]: "must be joined by all other ranks",
  [mpiPhase.ending]: "must leave MPI together with all other ranks",
} as const;

/** Returns the line with which this rank must end, or undefined if it continues. Called about twice a second. */
export type Look = (phase: number, now: number) => string | undefined;

/**
 * @param own this rank.
 * @param seconds maximum time for which a process may be stopped; 0 for no limit.
 * @param ranksHere returns all ranks of this machine.
 */
export const watchWithoutHeartbeats = (own: Launched, seconds: number, ranksHere: () => readonly LocalRank[]): Look => {
  let lookedAt = 0;
  let phaseBegan = 0;
  let watched: number = mpiPhase.carrying;
  /** For each rank, the time at which its process was first found stopped. */
  let stoppedSince = new Map<number, number>();

  return (phase, now) => {
    if (phase !== watched || now - lookedAt > wasStopped) {
      phaseBegan = now;
      stoppedSince = new Map();
    }
    watched = phase;
    lookedAt = now;
    if (seconds === 0 || (phase !== mpiPhase.beginning && phase !== mpiPhase.ending)) return undefined;
    const here = ranksHere();
    const stopped = here.filter((one) => one.stopped !== undefined && one.rank !== own.rank);
    stoppedSince = new Map(stopped.map(({ rank }) => [rank, stoppedSince.get(rank) ?? now]));
    const isFirst = here.every(({ rank }) => rank >= own.rank || stoppedSince.has(rank));
    const patience = isFirst ? 0 : timeToSpeak;
    for (const { rank, stopped: pid } of stopped) {
      const since = (now - (stoppedSince.get(rank) ?? now)) / 1000;
      if (since < seconds - beatInterval + patience) continue;
      const got = `got none for ${Math.floor(since)} s: process ${pid} is stopped`;
      return `rank ${rank} of ${own.size}: must give a sign of life every second; ${got}`;
    }
    const waited = (now - phaseBegan) / 1000;
    const longest = Math.max(longestPhase, seconds);
    if (waited < longest + patience) return undefined;
    const got = `got no answer from at least one for ${Math.floor(waited)} s`;
    return `rank ${own.rank} of ${own.size}: ${saidOfPhase[phase]}; ${got}; try FORETOKEN_RANK_TIMEOUT=0 to wait for ever`;
  };
};
