/**
 * The watch of a rank while MPI begins and ends: MPI_Init and MPI_Finalize wait for all ranks, and carry no heartbeats
 * (native/mpi/life.h). A rank that is frozen then would leave the others waiting for ever.
 *
 * On one machine the system tells which process is stopped. Of a rank on another machine nothing is known, nor of one that is
 * not stopped and never comes. So there is a limit for the whole, long enough for machines that start at different speeds.
 */
import type { Launched } from "../../core/system/launched-rank.node.ts";
import type { LocalRank } from "./stopped.node.ts";

/** What MPI's thread is in, as native/mpi/life.h numbers it. */
export const mpiPhase = { carrying: 0, beginning: 1, ending: 2 } as const;

/** Seconds that all ranks have to begin or to end MPI. */
const longestPhase = 60;

/** Milliseconds between two looks from which on this process was stopped itself, and knows nothing of the others. */
const wasStopped = 2000;

/** Seconds that a heartbeat may be old when its rank is frozen: as much earlier a stopped process is silent for too long. */
const beatInterval = 1;

/** Seconds that the first rank of a machine has to say it before the others do: they are ended with it. */
const timeToSpeak = 2;

const saidOfPhase = {
  [mpiPhase.beginning]: "must be joined by all other ranks",
  [mpiPhase.ending]: "must leave MPI together with all other ranks",
} as const;

/** The line with which this rank must end; undefined: it goes on. Called about twice a second. */
export type Look = (phase: number, now: number) => string | undefined;

/**
 * @param own this rank.
 * @param seconds for which a process may be stopped. 0: for ever.
 * @param ranksHere all ranks of this machine.
 */
export const watchWithoutHeartbeats = (own: Launched, seconds: number, ranksHere: () => readonly LocalRank[]): Look => {
  let lookedAt = 0;
  let phaseBegan = 0;
  let watched: number = mpiPhase.carrying;
  /** By rank, since when its process is seen to be stopped. */
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
    const got = `got no answer of at least one for ${Math.floor(waited)} s`;
    return `rank ${own.rank} of ${own.size}: ${saidOfPhase[phase]}; ${got}; try FORETOKEN_RANK_TIMEOUT=0 to wait for ever`;
  };
};
