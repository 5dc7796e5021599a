import type { ReadStream, WriteStream } from "node:tty";

/** Signals that a command listens to. */
type HeardSignal = "SIGINT" | "SIGTERM" | "SIGHUP" | "SIGTSTP" | "SIGCONT";

/**
 * Where a command runs: its streams, its signals and its exit status, by the names that the process has for them. It is the
 * process, unless who calls a command hands in another one. Working directory and environment are always those of the process.
 */
export interface Host {
  /** Streams, in Node's types: of a pipe or a file, `isTTY` and `columns` are missing. */
  readonly stdin: ReadStream;
  readonly stdout: WriteStream & { readonly fd?: number };
  readonly stderr: WriteStream;
  /** The status that the command ends with, unless an error ends it; undefined: success. */
  exitCode?: number | string | null | undefined;
  /** Ends the command at once. */
  exit(status?: number): never;
  on(event: "exit", listener: () => void): unknown;
  on<Signal extends HeardSignal>(event: Signal, listener: (signal: Signal) => void): unknown;
  off(event: "exit", listener: () => void): unknown;
  off<Signal extends HeardSignal>(event: Signal, listener: (signal: Signal) => void): unknown;
  /** As if the signal had come. */
  emit(event: HeardSignal, signal: NodeJS.Signals): unknown;
}

/** Where the command of this moment runs: a process runs one at a time. */
export let host: Host = process;

/** Makes `given` the host of the next command. */
export const setHost = (given: Host): void => {
  host = given;
};
