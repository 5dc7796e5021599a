import type { Command } from "commander";

/** Adds a command's arguments, flags and action. The action sets `host.exitCode` if the status is not 0. */
export type Declare = (command: Command) => void;

export interface Verb {
  readonly summary: string;
  /** Loads the command. Only the command that runs is loaded, so that `--help` answers at once. */
  readonly load: () => Promise<Declare>;
}

/** All commands by name, in the order of the help. */
export type Verbs = Readonly<Record<string, Verb>>;

/** Declares a command, including the flags that all commands have. */
export const declareVerb = async (command: Command, { load }: Verb): Promise<void> => {
  (await load())(command);
  command.option("--verbose", "show the stack trace of an error").helpOption("-h, --help", "show this help");
  // This module is loaded with a command, because the general help does not need it.
  const { refuseRepeats } = await import("./flags/flags.ts");
  refuseRepeats(command);
};
