import { readFileSync } from "node:fs";
import { Command, CommanderError } from "commander";
import { ConfigError } from "../core/errors.ts";
import { nearest } from "../core/nearest.ts";
import { exitStatus } from "./exit-status.ts";
import { commandLineError, reportFailure } from "./failure.ts";
import { writeOut } from "./output.ts";
import { declareVerb, prepareVerb, type Verbs } from "./verb.ts";

const verbs: Verbs = {
  train: {
    summary: "train a model on a text, or go on with a run",
    load: async () => (await import("./commands/train.ts")).declareTrain,
    thread: "train",
  },
  generate: {
    summary: "write text with a trained model",
    load: async () => (await import("./commands/generate.ts")).declareGenerate,
    thread: "model",
  },
  evaluate: {
    summary: "measure a trained model on a text",
    load: async () => (await import("./commands/evaluate.ts")).declareEvaluate,
    thread: "model",
  },
  replay: {
    summary: "make a step again that was not finite, or exploded",
    load: async () => (await import("./commands/replay.ts")).declareReplay,
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
  completion: {
    summary: "print a script that lets a shell complete commands and flags",
    load: async () => {
      const { declareCompletion } = await import("./commands/completion.ts");
      return (command) => declareCompletion(command, verbs);
    },
  },
};

const examples = `
Examples:
  $ npx foretoken train                                train a first model
  $ npx foretoken train --data notes.txt --steps 3000  on a text of your own
  $ npx foretoken generate runs/notes --prompt "ROMEO:"
  $ npx foretoken evaluate runs/notes
  $ npx foretoken lesson                               how it works, part by part
  $ npx foretoken <command> --help                     all flags of a command, with examples`;

const version = (): string => {
  try {
    const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
      version: string;
    };
    return version;
  } catch {
    // Every command works without it.
    return "unknown";
  }
};

const checkVerb = (name: string): void => {
  const names = Object.keys(verbs);
  if (names.includes(name)) return;
  throw new ConfigError({
    where: "command line",
    must: `the command must be ${names.slice(0, -1).join(", ")} or ${names.at(-1)}`,
    got: JSON.stringify(name),
    hint: nearest(name, names) ?? "npx foretoken --help",
  });
};

/** `help`, `help train`, `version` and no argument at all, as commander spells them. */
const spellAsFlags = (args: readonly string[]): readonly string[] => {
  const [first = "help", ...rest] = args;
  // Words that are no verb belong to the help of all verbs.
  if (first === "help") return ["help", "version"].includes(rest[0] ?? "") ? ["--help"] : [...rest, "--help"];
  return first === "version" ? ["--version", ...rest] : args;
};

/** Runs the command line `args` (without node and the script); returns the exit status. */
export const runProgram = async (args: readonly string[]): Promise<number> => {
  const words = spellAsFlags(args);
  const program = new Command("foretoken")
    .description("Causal language models: train, generate, evaluate, at the speed of the machine.")
    .version(version(), "-V, --version", "show the version")
    .helpOption("-h, --help", "show this help")
    .helpCommand(false)
    .exitOverride()
    .configureOutput({ writeOut, writeErr: () => {} })
    .addHelpText("after", examples);
  let current = program;
  try {
    const [word] = words;
    if (word !== undefined && !word.startsWith("-")) checkVerb(word);
    for (const [name, verb] of Object.entries(verbs)) {
      const { summary } = verb;
      const command = program.command(name).summary(summary).description(summary);
      if (name !== word) continue;
      current = command;
      if (!words.includes("--help") && !words.includes("-h")) await prepareVerb(verb);
      await declareVerb(command, verb);
    }
    await program.parseAsync(words, { from: "user" });
    return Number(process.exitCode ?? exitStatus.success);
  } catch (error) {
    const told = error instanceof CommanderError ? commandLineError(error, current, words) : error;
    return told === undefined ? exitStatus.success : reportFailure(told, args.includes("--verbose"));
  }
};
