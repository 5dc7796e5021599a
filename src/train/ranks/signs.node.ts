/**
 * Signs that this rank's JavaScript goes on. It counts its kernel calls and the turns of its event loop; if the count stands
 * still, the thread of MPI ends all ranks, with a line that names this one (native/mpi/life.h). A rank that waits for another
 * rank, a disk or a reader still turns its event loop, so it counts as alive.
 *
 * While MPI begins and ends, its thread is blocked. Then the event loop looks whether the other ranks go on
 * (without-heartbeats.node.ts).
 */
import { url } from "node:inspector";
import type { Backend } from "../../backend/backend.ts";
import { ConfigError } from "../../core/errors/errors.ts";
import { launchedRank } from "../../core/system/launched-rank.node.ts";
import type { MpiAddon } from "./addon.node.ts";
import { localRanks } from "./stopped.node.ts";
import { mpiPhase, watchWithoutHeartbeats } from "./without-heartbeats.node.ts";

/** Environment variable: after so many seconds without a sign of life, all ranks end. 0: never. */
const variable = "FORETOKEN_RANK_TIMEOUT";

/** Seconds without a sign of life that a healthy rank does not reach. */
const defaultTimeout = 8;

/** A healthy rank gives a sign once a second, on a busy machine a little later. */
const leastTimeout = 3;

/** Milliseconds between two turns of the event loop that count. */
const turnInterval = 500;

/** Whether ticks are watched, as native/mpi/life.h numbers it. */
const watching = { learning: 1, watched: 2 } as const;

/** @throws ConfigError for a value that is no number of seconds, or too few. */
export const rankTimeout = (env: NodeJS.ProcessEnv): number => {
  const given = env[variable];
  if (given === undefined || given === "") return defaultTimeout;
  const seconds = /^\d{1,6}$/u.test(given) ? Number(given) : Number.NaN;
  if (seconds === 0 || seconds >= leastTimeout) return seconds;
  throw new ConfigError({
    where: variable,
    must: `must be a number of seconds from ${leastTimeout} on, or 0 for no end`,
    got: given,
    hint: String(defaultTimeout),
  });
};

/** Whether a debugger may stop JavaScript. In a worker thread only the flag tells. */
const isDebugged = (): boolean =>
  url() !== undefined || [...process.execArgv, process.env.NODE_OPTIONS ?? ""].some((one) => one.includes("--inspect"));

/** Signs of one rank, from the beginning of a run to its end. */
export interface Signs {
  /** From here on the longest silence is learned: the ranks have met, and the first step begins. */
  learn(): void;
  /** From here on a silence ends all ranks, unless a debugger may be its cause. */
  watch(): void;
  /** The backend, whose calls count from now on. Closing either closes both. */
  counted(backend: Backend): Backend;
  /** No more signs. */
  end(): void;
}

/**
 * @param mpi not started yet. Its process ends if another rank stands still while MPI begins or ends.
 * @throws ConfigError for an environment variable that is wrong.
 */
export const createSigns = (
  mpi: Pick<MpiAddon, "signs" | "endProcess">,
  env: NodeJS.ProcessEnv = process.env,
  ranksHere = localRanks,
): Signs => {
  const seconds = rankTimeout(env);
  const shared = mpi.signs();
  shared[2] = seconds;
  const tick = (): void => {
    // It wraps around: any other number is a sign.
    shared[0] = (shared[0] ?? 0) + 1;
  };
  const own = launchedRank(env);
  const look = own === null ? undefined : watchWithoutHeartbeats(own, isDebugged() ? 0 : seconds, () => ranksHere(own));
  const turn = (): void => {
    tick();
    const line = look?.(shared[3] ?? mpiPhase.carrying, performance.now());
    if (line !== undefined) mpi.endProcess(line);
  };
  const timer = setInterval(turn, turnInterval).unref();
  turn();
  return {
    learn() {
      shared[1] = watching.learning;
    },
    watch() {
      if (shared[1] === watching.learning && !isDebugged()) shared[1] = watching.watched;
    },
    // Passes beside each other are one long call, without a sign: ranks compute one pass after the other.
    counted: ({ moved: _moved, replayBeside: _replayBeside, ...inner }) => ({
      ...inner,
      run(kernel, args) {
        inner.run(kernel, args);
        tick();
      },
      ...(inner.replay === undefined
        ? {}
        : {
            replay(calls) {
              inner.replay?.(calls);
              tick();
            },
          }),
    }),
    end() {
      clearInterval(timer);
      shared[1] = 0;
    },
  };
};
