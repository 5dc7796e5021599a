/** The flags of `foretoken train`. */
import { type Command, Option } from "commander";
import { defaultPreset, type PresetName, presetNames } from "../../config/presets.ts";
import { alternatives } from "../../core/text/alternatives.ts";
import { corpusNames } from "../../data/corpora.node.ts";
import { type ExtendKind, extendKinds } from "../../optim/config.ts";
import { addConfigFlags, type ConfigFlags } from "../flags/config-flags.ts";
import {
  addRunningFlags,
  parseChoice,
  parseFraction,
  parseInteger,
  parsePath,
  type RunningFlags,
} from "../flags/flags.ts";

export interface TrainFlags extends RunningFlags {
  readonly data?: string;
  readonly valData?: string;
  readonly valFraction?: number;
  readonly preset?: PresetName;
  readonly config?: string;
  readonly out?: string;
  readonly initFrom?: string;
  readonly widen?: true;
  readonly chatTemplate?: string;
  readonly resume?: string;
  readonly extend?: ExtendKind;
  readonly stopAt?: number;
  readonly keepLast?: number;
  readonly profile?: true;
  readonly studio?: true;
  /** false with --no-memory-check. */
  readonly memoryCheck: boolean;
}

/** Adds all flags; returns those of the configuration's fields. */
export const addTrainFlags = (command: Command): ConfigFlags => {
  command
    .optionsGroup("Text: what the model learns from, and what it is measured on")
    .option(
      "--data <text>",
      "a corpus by name, a UTF-8 file, or a folder of them, without hidden files and node_modules; or documents, such as conversations: a .jsonl file or a folder of such (default: tiny-shakespeare)",
      parsePath("--data", corpusNames),
    )
    .option(
      "--val-data <text>",
      "a text, or documents, to validate on (default: the last part of --data, or drawn documents)",
      parsePath("--val-data", corpusNames),
    )
    .option(
      "--val-fraction <x>",
      "without --val-data: the share of the text, or of the documents, to validate on (default: 0.1)",
      parseFraction("--val-fraction"),
    )
    .option(
      "--chat-template <file>",
      "a template in Jinja that writes conversations out (default: the model's own)",
      parsePath("--chat-template"),
    )
    .optionsGroup("Run: the plan, its folder, and a run to go on with")
    .addOption(
      new Option(
        "--preset <name>",
        `start from ${alternatives(presetNames)} (default: with --data or --init-from sizes that follow from the text, else ${defaultPreset})`,
      ).argParser(parseChoice("--preset", presetNames)),
    )
    .option(
      "--config <file>",
      'JSON with changes to it: { "preset", "tokenizer", "model", "lora", "train" } (default: none)',
      parsePath("--config"),
    )
    .option("--out <folder>", "the run's folder, new or empty (default: runs/<time>-<text>)", parsePath("--out"))
    .option(
      "--init-from <dir>",
      "begin with the weights of a run (its best), a checkpoint or a model from elsewhere: a new run with their model and tokenizer (default: fresh weights)",
      parsePath("--init-from"),
    )
    .option(
      "--widen",
      "with --lora.rank and a GGUF file: turn its weights of 4 to 8 bits into the dtype (default: they stay as they are, in a fraction of the memory)",
    )
    .option(
      "--resume <folder>",
      "go on with the run in this folder, in place; with --steps to a new number of all steps (default: begin a new run)",
      parsePath("--resume"),
    )
    .addOption(
      new Option(
        "--extend <how>",
        `the learning rate of the added steps: ${extendKinds.join(", ")} (default: stretch)`,
      ).argParser(parseChoice("--extend", extendKinds)),
    )
    .option(
      "--stop-at <n>",
      "end at this step as Ctrl-C would (default: at the last step)",
      parseInteger("--stop-at", 1),
    )
    .option(
      "--keep-last <n>",
      "checkpoints to keep: the last one and those before it (default: 1, or as the run began)",
      parseInteger("--keep-last", 1),
    )
    .option("--profile", "time the kernels, and show at the end where the time went")
    .option(
      "--studio",
      "open the studio on this run: a page with its curves; in a terminal it stays after the run, until Ctrl-C",
    )
    .option("--no-memory-check", "run also where more memory is needed than is free");
  const configFlags = addConfigFlags(command);
  addRunningFlags(command);
  return configFlags;
};
