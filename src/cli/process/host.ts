import type { ReadStream, WriteStream } from "node:tty";

/** Signals that a command listens to. */
type HeardSignal = "SIGINT" | "SIGTERM" | "SIGHUP" | "SIGTSTP" | "SIGCONT";

/**
 * Environment of a command: its streams, signals and exit status. The names are the same as in `process`. The default
 * environment is `process`. The working directory and the environment variables always come from the process.
 */
export interface Host {
  /** Streams with Node's types. For a pipe or a file, `isTTY` and `columns` are missing. */
  readonly stdin: ReadStream;
  readonly stdout: WriteStream & { readonly fd?: number };
  readonly stderr: WriteStream;
  /** Exit status if the command ends without an error. If undefined, the command was successful. */
  exitCode?: number | string | null | undefined;
  /** Ends the command at once. */
  exit(status?: number): never;
  on(event: "exit", listener: () => void): unknown;
  on<Signal extends HeardSignal>(event: Signal, listener: (signal: Signal) => void): unknown;
  off(event: "exit", listener: () => void): unknown;
  off<Signal extends HeardSignal>(event: Signal, listener: (signal: Signal) => void): unknown;
  /** Acts as if the signal had arrived. */
  emit(event: HeardSignal, signal: NodeJS.Signals): unknown;
}

/** Host of the current command. A process runs one command at a time. */
export let host: Host = process;

/** Sets the host of the next command. */
export const setHost = (given: Host): void => {
  host = given;
};
