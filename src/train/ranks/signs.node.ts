/**
 * Signs of life of this rank's JavaScript. It counts its kernel calls and the turns of its event loop. If the count
 * stops, the MPI thread ends all ranks and prints a line that names this rank (native/mpi/life.h). A rank that waits
 * for another rank, a disk or a reader still turns its event loop, so it counts as alive.
 *
 * While MPI starts and ends, the MPI thread is blocked. Then the event loop checks the other ranks instead
 * (without-heartbeats.node.ts).
 */
import { url } from "node:inspector";
import type { Backend } from "../../backend/backend.ts";
import { ConfigError } from "../../core/errors/errors.ts";
import { launchedRank } from "../../core/system/launched-rank.node.ts";
import type { MpiAddon } from "./addon.node.ts";
import { localRanks } from "./stopped.node.ts";
import { mpiPhase, watchWithoutHeartbeats } from "./without-heartbeats.node.ts";

/** Environment variable: number of seconds without a sign of life after which all ranks end; 0 for never. */
const variable = "FORETOKEN_RANK_TIMEOUT";

/** Default limit in seconds; a healthy rank is never silent for so long. */
const defaultTimeout = 8;

/** Minimum limit in seconds. A healthy rank gives a sign once a second, or slightly later on a busy machine. */
const leastTimeout = 3;

/** Milliseconds between two counted turns of the event loop. */
const turnInterval = 500;

/** Watch modes, numbered as in native/mpi/life.h. */
const watching = { learning: 1, watched: 2 } as const;

/** @throws ConfigError for a value that is not a number of seconds, or is too small. */
export const rankTimeout = (env: NodeJS.ProcessEnv): number => {
  const given = env[variable];
  if (given === undefined || given === "") return defaultTimeout;
  const seconds = /^\d{1,6}$/u.test(given) ? Number(given) : Number.NaN;
  if (seconds === 0 || seconds >= leastTimeout) return seconds;
  throw new ConfigError({
    where: variable,
    must: `must be a number of seconds, at least ${leastTimeout}, or 0 for no limit`,
    got: given,
    hint: String(defaultTimeout),
  });
};

/** Whether a debugger may stop JavaScript. A worker thread can only check the command-line flag. */
const isDebugged = (): boolean =>
  url() !== undefined || [...process.execArgv, process.env.NODE_OPTIONS ?? ""].some((one) => one.includes("--inspect"));

/** Signs of one rank, from the beginning of a run to its end. */
export interface Signs {
  /**
   * Starts to learn how long the longest silence is. It is called when all ranks have joined and the first step begins.
   */
  learn(): void;
  /** Starts the watch: a long silence ends all ranks, unless a debugger may be the cause. */
  watch(): void;
  /** Wraps the backend so that its calls count. Closing the wrapper closes the backend. */
  counted(backend: Backend): Backend;
  /** Stops the signs. */
  end(): void;
}

/**
 * Starts the signs of this rank.
 * @param mpi not started yet. This process ends if another rank is stopped while MPI starts or ends.
 * @throws ConfigError for an invalid environment variable.
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
    // The counter wraps around. That is fine: only a changed number matters.
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
    // The wrapper leaves out `replayBeside`, which runs several passes in one long call and gives no sign meanwhile.
    // Ranks run their passes one by one.
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
