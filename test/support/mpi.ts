import { spawn, spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { expect, vi } from "vitest";
import { hasMpi } from "#foretoken/train/ranks/addon.node.js";
import { program } from "../cli/cli.ts";
import { type Outcome, outcomeOf } from "../outcome-of.ts";

const env = { ...process.env, OMPI_ALLOW_RUN_AS_ROOT: "1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM: "1", LC_ALL: "C.UTF-8" };

const findMissing = (): string | undefined => {
  if (process.platform !== "linux") return "not Linux";
  if (!/open mpi/iu.test(spawnSync("mpirun", ["--version"], { encoding: "utf8" }).stdout ?? ""))
    return "no mpirun of Open MPI";
  return hasMpi() ? undefined : "the MPI addon is not built: npm run build:mpi";
};

/** Reason why ranks cannot be started on this machine. Undefined if they can be started, or if CI requires them. */
export const missingMpi = process.env.FORETOKEN_REQUIRE_MPI === "1" ? undefined : findMissing();

/** Part of a test title that says why tests are skipped. */
export const mpiTitle = (title: string): string => (missingMpi === undefined ? title : `${title} (${missingMpi})`);

/** Arguments of mpirun for `ranks` processes of `foretoken train`. */
export const trainOn = (ranks: number, args: readonly string[], variables: readonly string[] = []): string[] => [
  ...["-n", String(ranks), ...variables.flatMap((one) => ["-x", one])],
  ...[process.execPath, program, "train", ...args],
];

export interface StartedRanks {
  readonly outcome: Promise<Outcome>;
  /** Process id of mpirun itself. */
  readonly pid: number;
  /** Sends a signal to mpirun itself. */
  kill(signal: NodeJS.Signals): void;
  /** Process ids of the ranks, ordered by rank. */
  pids(): readonly number[];
}

/** Text of a file in /proc; "" if its process has ended. */
const readProc = (path: string): string => {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
};

/** Value of an environment variable of a running process. */
export const variableOf = (pid: number, name: string): string | undefined =>
  readProc(`/proc/${pid}/environ`)
    .split("\0")
    .find((one) => one.startsWith(`${name}=`))
    ?.slice(name.length + 1);

/**
 * Processes that have this value of an environment variable. The result includes all processes that a launcher started,
 * directly or through other processes.
 */
export const processesWith = (name: string, value: string): number[] =>
  readdirSync("/proc")
    .filter((entry) => /^\d+$/u.test(entry))
    .map(Number)
    .filter((pid) => variableOf(pid, name) === value && isAlive(pid));

const childrenOf = (pid: number): number[] =>
  (existsSync(`/proc/${pid}/task`) ? readdirSync(`/proc/${pid}/task`) : []).flatMap((thread) =>
    readProc(`/proc/${pid}/task/${thread}/children`).split(" ").filter(Boolean).map(Number),
  );

/**
 * Starts mpirun.
 * @param variables environment variables for mpirun and the ranks.
 * @param launcher the command that starts the ranks.
 */
export const startMpirun = (
  args: readonly string[],
  cwd: string,
  onOutput?: (stdout: string) => void,
  variables: Readonly<Record<string, string>> = {},
  launcher: readonly [string, ...string[]] = ["mpirun"],
): StartedRanks => {
  const [command, ...before] = launcher;
  const child = spawn(command, [...before, "--oversubscribe", ...args], {
    cwd,
    env: { ...env, ...variables },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const outcome = outcomeOf(child, onOutput);
  return {
    outcome,
    pid: child.pid as number,
    kill: (signal) => child.kill(signal),
    pids: () =>
      childrenOf(child.pid as number)
        .map((pid) => ({ pid, rank: variableOf(pid, "OMPI_COMM_WORLD_RANK") }))
        .filter(({ rank }) => rank !== undefined)
        .sort((a, b) => Number(a.rank) - Number(b.rank))
        .map(({ pid }) => pid),
  };
};

/** Runs mpirun to its end. */
export const mpirun = (args: readonly string[], cwd: string): Promise<Outcome> => startMpirun(args, cwd).outcome;

/** Lines that foretoken wrote, without the lines that mpirun adds. */
export const ours = (stderr: string): string[] => stderr.split("\n").filter((line) => line.startsWith("foretoken: "));

/** Whether a process is running. A process that has ended stays in the list until its parent has read its status. */
export const isAlive = (pid: number): boolean => /\) [^ZX] /u.test(readProc(`/proc/${pid}/stat`));

/** Waits until the processes have ended. Fails after the time in which ranks must end. */
export const expectGone = (pids: readonly number[]): Promise<void> =>
  vi.waitFor(() => expect(pids.filter(isAlive)).toEqual([]), 10_000);
