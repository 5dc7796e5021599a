import { readFileSync } from "node:fs";
import { Command, CommanderError } from "commander";
import { ConfigError } from "../core/errors.ts";
import { nearest } from "../core/nearest.ts";
import { commandLineError, exitStatus, reportFailure } from "./failure.ts";

/** Adds a verb's arguments, flags and action. The action sets `process.exitCode` where that is not to be 0. */
export type Declare = (command: Command) => void;

interface Verb {
  readonly summary: string;
  /** Only the verb that is run is loaded, so that `--help` answers at once. */
  readonly load: () => Promise<Declare>;
}

const verbs: Readonly<Record<string, Verb>> = {
  train: {
    summary: "train a model on a text, or go on with a run",
    load: async () => (await import("./commands/train.ts")).declareTrain,
  },
  generate: {
    summary: "write text with a trained model",
    load: async () => (await import("./commands/generate.ts")).declareGenerate,
  },
  evaluate: {
    summary: "measure a trained model on a text",
    load: async () => (await import("./commands/evaluate.ts")).declareEvaluate,
  },
  lesson: {
    summary: "show how the method works, on a text and a model, part by part",
    load: async () => (await import("./commands/lesson.ts")).declareLesson,
  },
  runs: {
    summary: "list runs with their best losses",
    load: async () => (await import("./commands/runs.ts")).declareRuns,
  },
  info: {
    summary: "show the machine, the backends and what would be used",
    load: async () => (await import("./commands/info.ts")).declareInfo,
  },
};

const examples = `
Examples:
  $ foretoken train                                train a first model
  $ foretoken train --data notes.txt --steps 3000  on a text of your own
  $ foretoken generate runs/notes --prompt "ROMEO:"
  $ foretoken evaluate runs/notes
  $ foretoken lesson                               how it works, part by part
  $ foretoken <command> --help                     all flags of a command, with examples`;

const version = (): string => {
  const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
    version: string;
  };
  return version;
};

const checkVerb = (name: string): void => {
  const names = Object.keys(verbs);
  if (names.includes(name)) return;
  throw new ConfigError({
    where: "command line",
    must: `the command must be ${names.slice(0, -1).join(", ")} or ${names.at(-1)}`,
    got: JSON.stringify(name),
    hint: nearest(name, names) ?? "foretoken --help",
  });
};

/** `help`, `help train` and no argument at all, as commander spells them. */
const spellHelp = (args: readonly string[]): readonly string[] => {
  if (args.length === 0) return ["--help"];
  return args[0] === "help" ? [...args.slice(1), "--help"] : args;
};

/** Runs the command line `args` (without node and the script); returns the exit status. */
export const runProgram = async (args: readonly string[]): Promise<number> => {
  const words = spellHelp(args);
  const program = new Command("foretoken")
    .description("Causal language models: train, generate, evaluate, at the speed of the machine.")
    .version(version(), "-V, --version", "show the version")
    .helpOption("-h, --help", "show this help")
    .helpCommand(false)
    .exitOverride()
    .configureOutput({ writeErr: () => {} })
    .addHelpText("after", examples);
  let current = program;
  try {
    const [verb] = words;
    if (verb !== undefined && !verb.startsWith("-")) checkVerb(verb);
    for (const [name, { summary, load }] of Object.entries(verbs)) {
      const command = program.command(name).summary(summary).description(summary);
      if (name !== verb) continue;
      current = command;
      (await load())(command);
      command.option("--verbose", "show the stack of an error").helpOption("-h, --help", "show this help");
    }
    await program.parseAsync(words, { from: "user" });
    return Number(process.exitCode ?? exitStatus.success);
  } catch (error) {
    const told = error instanceof CommanderError ? commandLineError(error, current) : error;
    return told === undefined ? exitStatus.success : reportFailure(told, args.includes("--verbose"));
  }
};
