/** Executes commands in this process. Each command has its own streams, signals and exit status. */
import { EventEmitter } from "node:events";
import { closeSync, openSync } from "node:fs";
import { PassThrough, Writable } from "node:stream";
import type { Host } from "#foretoken/cli/process/host.js";
import { enterHost } from "#foretoken/cli/process/output.js";
import { runProgram } from "#foretoken/cli/program.js";
import type { Outcome } from "../outcome-of.ts";
import type { Running } from "./cli.ts";

export interface RunningHere extends Running {
  /** A file or a device for standard output. Default: the result contains the output. */
  readonly output?: string;
  /** Like `onOutput`, for standard error. */
  readonly onNotice?: Running["onOutput"];
}

/** Thrown by `exit`, so that the code after the call is not executed, as in a process that ends. */
class Exit extends Error {}

const textTo = (take: (text: string) => void): Writable =>
  new Writable({
    decodeStrings: false,
    write: (text: string | Buffer, _, done) => {
      take(String(text));
      done();
    },
  });

/** Sets environment variables. The returned function restores the previous variables. */
const withEnv = (env: Readonly<Record<string, string>>): (() => void) => {
  const before = Object.keys(env).map((name) => [name, process.env[name]] as const);
  Object.assign(process.env, env);
  return () => {
    for (const [name, value] of before) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  };
};

const run = async (
  work: () => Promise<number>,
  { cwd, onOutput, onNotice, env = {}, input = "", output }: RunningHere,
): Promise<Outcome> => {
  const folder = process.cwd();
  const putBack = withEnv({ LC_ALL: "C.UTF-8", ...env });
  process.chdir(cwd);
  const file = output === undefined ? undefined : openSync(output, "w");
  let stdout = "";
  let stderr = "";
  /**
   * The result at the time when the command called `exit`. In this process, other code of the command may be executed
   * after that.
   */
  let exited: Outcome | undefined;
  let failure: unknown;
  const events = new EventEmitter();
  // Sends a signal between two tasks of the event loop, as the operating system does.
  const kill = (signal: NodeJS.Signals): void => {
    setImmediate(() => {
      try {
        if (!events.emit(signal, signal)) throw new Error(`nothing listens to ${signal}: it would end the process`);
      } catch (error) {
        if (!(error instanceof Exit)) failure = error;
      }
    });
  };
  const toOutput = textTo((text) => {
    stdout += text;
    onOutput?.(stdout, kill);
  });
  const streams = {
    stdin: new PassThrough().end(input),
    stdout: file === undefined ? toOutput : Object.assign(toOutput, { fd: file }),
    stderr: textTo((text) => {
      stderr += text;
      onNotice?.(stderr, kill);
    }),
  };
  const end = (): Outcome => {
    events.emit("exit");
    return { status: Number(host.exitCode), stdout, stderr };
  };
  const host = Object.assign(events, streams, {
    exitCode: undefined as Host["exitCode"],
    exit(status?: number): never {
      host.exitCode = status ?? host.exitCode ?? 0;
      exited ??= end();
      throw new Exit();
    },
  });
  try {
    enterHost(host as unknown as Host);
    const status = await work();
    if (failure !== undefined) throw failure;
    if (exited !== undefined) return exited;
    host.exitCode = status;
    return end();
  } finally {
    process.chdir(folder);
    putBack();
    if (file !== undefined) closeSync(file);
  }
};

/**
 * The previous command. This command must end before the next command begins, because the working directory and the
 * environment belong to the whole process.
 */
let last: Promise<unknown> = Promise.resolve();

/** Calls `work` after all earlier commands. `work` returns an exit status. */
export const onHost = (work: () => Promise<number>, running: RunningHere): Promise<Outcome> => {
  const outcome = last.then(() => run(work, running));
  last = outcome.catch(() => {});
  return outcome;
};

/** Executes a command line in this process, in `cwd`, after all earlier commands. */
export const runInProcess = (args: readonly string[], running: RunningHere): Promise<Outcome> =>
  onHost(() => runProgram(args), running);
