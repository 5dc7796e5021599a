import type { Command } from "commander";

/** Adds a verb's arguments, flags and action. The action sets `host.exitCode` unless it is 0. */
export type Declare = (command: Command) => void;

export interface Verb {
  readonly summary: string;
  /** Only the verb that is run is loaded, so that `--help` answers at once. */
  readonly load: () => Promise<Declare>;
}

/** All verbs by name, in the order of the help. */
export type Verbs = Readonly<Record<string, Verb>>;

/** Declares a verb, with the flags that all verbs have. */
export const declareVerb = async (command: Command, { load }: Verb): Promise<void> => {
  (await load())(command);
  command.option("--verbose", "show the stack trace of an error").helpOption("-h, --help", "show this help");
  // Loaded with a verb: the help of all verbs needs none of it.
  const { refuseRepeats } = await import("./flags/flags.ts");
  refuseRepeats(command);
};
