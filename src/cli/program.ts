import { Command, CommanderError } from "commander";
import { hasLauncher } from "../core/system/launched-rank.node.ts";
import { commandLineError, reportFailure } from "./failure.ts";
import { helpPage, notes } from "./help.ts";
import { exitStatus } from "./process/exit-status.ts";
import { host } from "./process/host.ts";
import { writeOut } from "./process/output.ts";
import { declareVerb, type Verbs } from "./verb.ts";
import { version } from "./version.ts";

const verbs: Verbs = {
  train: {
    summary: "train a model on a text, or resume a run",
    load: async () => (await import("./commands/train.ts")).declareTrain,
  },
  generate: {
    summary: "write text with a trained model",
    load: async () => (await import("./commands/generate.ts")).declareGenerate,
  },
  chat: {
    summary: "have a conversation with a model",
    load: async () => (await import("./commands/chat.ts")).declareChat,
  },
  serve: {
    summary: "serve your models to programs that use OpenAI's protocol",
    load: async () => (await import("./commands/serve.ts")).declareServe,
  },
  evaluate: {
    summary: "measure how well a model predicts a text",
    load: async () => (await import("./commands/evaluate.ts")).declareEvaluate,
  },
  compare: {
    summary: "test whether models, or settings with several seeds, differ by more than chance",
    load: async () => (await import("./commands/compare.ts")).declareCompare,
  },
  sweep: {
    summary: "train many settings with several seeds each, and find the best setting",
    load: async () => (await import("./commands/sweep.ts")).declareSweep,
  },
  merge: {
    summary: "merge a LoRA adapter into its model",
    load: async () => (await import("./commands/merge.ts")).declareMerge,
  },
  quantize: {
    summary: "write a model as a GGUF file with fewer bits per weight",
    load: async () => (await import("./commands/quantize.ts")).declareQuantize,
  },
  export: {
    summary: "write a model for other programs: transformers, llama.cpp, Ollama",
    load: async () => (await import("./commands/export.ts")).declareExport,
  },
  verify: {
    summary: "compare a model with its exported files: logits, greedy tokens, bits per byte",
    load: async () => (await import("./commands/verify.ts")).declareVerify,
  },
  replay: {
    summary: "repeat a training step with a loss or gradient that exploded or was not finite",
    load: async () => (await import("./commands/replay.ts")).declareReplay,
  },
  lesson: {
    summary: "learn how language models work, part by part, on a text and a small model",
    load: async () => (await import("./commands/lesson.ts")).declareLesson,
  },
  runs: {
    summary: "list runs with their best losses",
    load: async () => (await import("./commands/runs.ts")).declareRuns,
  },
  plot: {
    summary: "draw the loss curves of runs as an SVG file",
    load: async () => (await import("./commands/plot.ts")).declarePlot,
  },
  studio: {
    summary: "open a page on this machine to watch, compare and start runs, and write with their models",
    load: async () => (await import("./commands/studio.ts")).declareStudio,
  },
  tokenizer: {
    summary: "train a tokenizer, or show how a text splits into tokens",
    load: async () => (await import("./commands/tokenizer.ts")).declareTokenizer,
  },
  init: {
    summary: "write a starter project: a page, or a program for Node.js",
    load: async () => (await import("./commands/init.ts")).declareInit,
  },
  info: {
    summary: "show facts about this machine and its backends, or about a model",
    load: async () => (await import("./commands/info.ts")).declareInfo,
  },
  doctor: {
    summary: "check that this machine computes correctly and has everything that is needed",
    load: async () => (await import("./commands/doctor.ts")).declareDoctor,
  },
  completion: {
    summary: "print a script that lets your shell complete commands and flags",
    load: async () => {
      const { declareCompletion } = await import("./commands/completion.ts");
      return (command) => declareCompletion(command, verbs);
    },
  },
};

const examples = `
Examples:
  $ npx foretoken train                                     train a first model
  $ npx foretoken train --data notes.txt --out runs/notes   on your own text
  $ npx foretoken generate runs/notes --prompt "The "
  $ npx foretoken evaluate runs/notes
  $ npx foretoken studio                                    a page for all of this
  $ npx foretoken lesson                                    how it works, part by part
  $ npx foretoken <command> --help                          all flags of a command, with examples`;

/** Declares a command with its flags, for hints. */
const declared = async (name: string): Promise<Command> => {
  const command = new Command(name);
  const verb = verbs[name];
  if (verb !== undefined) await declareVerb(command, verb);
  return command;
};

/** Rewrites `help`, `help train`, `version` and an empty command line as commander's flags. */
const spellAsFlags = (args: readonly string[]): readonly string[] => {
  const [first = "help", ...rest] = args;
  // Unknown words show the general help.
  if (first === "help") return ["help", "version"].includes(rest[0] ?? "") ? ["--help"] : [...rest, "--help"];
  return first === "version" ? ["--version", ...rest] : args;
};

/** Runs the command line `args` (without node and the script) and returns the exit status. */
export const runProgram = async (args: readonly string[]): Promise<number> => {
  const words = spellAsFlags(args);
  const program = new Command("foretoken")
    .description("Causal language models: train, generate, evaluate, at the speed of the machine.")
    .optionsGroup("Flags: about the program itself")
    .version(version(), "-V, --version", "show the version")
    .helpOption("-h, --help", "show this help")
    .helpCommand(false)
    .exitOverride()
    .configureOutput({ writeOut, writeErr: () => {} })
    .configureHelp({ formatHelp: helpPage })
    .addHelpText("after", notes(examples));
  let current = program;
  try {
    const [word] = words;
    const isVerb = word !== undefined && Object.hasOwn(verbs, word);
    if (word !== undefined && !word.startsWith("-") && !isVerb) {
      const { unknownCommandError } = await import("./suggestions/suggest.ts");
      throw await unknownCommandError(words, Object.keys(verbs), declared);
    }
    for (const [name, verb] of Object.entries(verbs)) {
      const { summary } = verb;
      const command = program.command(name).summary(summary).description(summary);
      if (name !== word) continue;
      current = command;
      if (!["--help", "-h", "--help-all"].some((flag) => words.includes(flag))) {
        const refused = hasLauncher() ? (await import("./process/rank.ts")).refusedOnRanks(name) : undefined;
        if (refused !== undefined) throw refused;
      }
      await declareVerb(command, verb);
    }
    await program.parseAsync(words, { from: "user" });
    return Number(host.exitCode ?? exitStatus.success);
  } catch (error) {
    const told = error instanceof CommanderError ? await commandLineError(error, current, words) : error;
    if (told === undefined) return exitStatus.success;
    const who = hasLauncher() ? await (await import("./process/rank.ts")).failedRank() : "";
    return reportFailure(told, args.includes("--verbose"), who);
  }
};
