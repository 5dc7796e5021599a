/** Flags of `foretoken train`. */
import { type Command, Option } from "commander";
import { defaultPreset, type PresetName, presetNames } from "../../config/presets.ts";
import { alternatives } from "../../core/text/alternatives.ts";
import { corpusNames } from "../../data/corpora.node.ts";
import { type ExtendKind, extendKinds } from "../../optim/config.ts";
import { addConfigFlags, type ConfigFlags } from "../flags/config-flags.ts";
import {
  addRunningFlags,
  expecting,
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
  readonly teacher?: readonly string[];
  readonly chatTemplate?: string;
  readonly resume?: string;
  readonly extend?: ExtendKind;
  readonly stopAt?: number;
  readonly keepLast?: number;
  readonly profile?: true;
  readonly studio?: true;
  /** False with --no-memory-check. */
  readonly memoryCheck: boolean;
}

/** Parses a path or a name; a flag that is given several times makes a list. */
const eachPath = (flag: string) => {
  const parse = parsePath(flag);
  const each = (text: string, earlier: readonly string[] = []): readonly string[] => [...earlier, parse(text)];
  return expecting(each, { paths: true, repeats: true });
};

/** Adds all flags. Returns the flags of configuration fields. */
export const addTrainFlags = (command: Command): ConfigFlags => {
  command
    .optionsGroup("Text: training and validation")
    .option(
      "--data <text>",
      "the name of a corpus, a UTF-8 file, or a folder of UTF-8 files (hidden files and node_modules are skipped). Documents, such as conversations, are a .jsonl file or a folder of .jsonl files (default: tiny-shakespeare)",
      parsePath("--data", corpusNames),
    )
    .option(
      "--val-data <text>",
      "a text, or documents, to validate on (default: the end of --data, or randomly chosen documents)",
      parsePath("--val-data", corpusNames),
    )
    .option(
      "--val-fraction <x>",
      "without --val-data: share of the text or of the documents to validate on (default: 0.1)",
      parseFraction("--val-fraction"),
    )
    .option(
      "--chat-template <file>",
      "a file with the Jinja template that turns conversations into text (default: the model's template)",
      parsePath("--chat-template"),
    )
    .optionsGroup("Run: plan, folder, and a run to resume")
    .addOption(
      new Option(
        "--preset <name>",
        `start from ${alternatives(presetNames)} (default: with --data or --init-from, sizes derived from the text; otherwise ${defaultPreset})`,
      ).argParser(parseChoice("--preset", presetNames)),
    )
    .option(
      "--config <file>",
      'a JSON file that changes the preset: { "preset", "tokenizer", "model", "lora", "train" } (default: none)',
      parsePath("--config"),
    )
    .option("--out <folder>", "the run's folder, new or empty (default: runs/<time>-<text>)", parsePath("--out"))
    .option(
      "--init-from <dir>",
      "begin a new run with the weights and the tokenizer of a trained model: a run, a checkpoint or another model (default: random weights)",
      parsePath("--init-from"),
    )
    .option(
      "--widen",
      "with --lora.rank and a GGUF file: convert weights of 4 to 8 bits to the dtype, which needs much more memory (default: keep the 4 to 8 bits)",
    )
    .option(
      "--teacher <model>",
      "learn also from the predictions of this model: a run, a checkpoint, a .gguf file or hf:org/name, with the run's tokenizer; give it again for the average of several models; with --resume, the new places of all teachers (default: learn from the text alone)",
      eachPath("--teacher"),
    )
    .option(
      "--resume <folder>",
      "resume the run in this folder; --steps sets a new total number of steps (default: begin a new run)",
      parsePath("--resume"),
    )
    .addOption(
      new Option(
        "--extend <how>",
        `learning rate of the added steps: ${extendKinds.join(", ")} (default: stretch)`,
      ).argParser(parseChoice("--extend", extendKinds)),
    )
    .option(
      "--stop-at <n>",
      "save and stop at this step, as Ctrl-C does (default: at the last step)",
      parseInteger("--stop-at", 1),
    )
    .option(
      "--keep-last <n>",
      "number of checkpoints to keep, newest first (default: 1, or as when the run began)",
      parseInteger("--keep-last", 1),
    )
    .option("--profile", "measure the time of each kernel, and show the times at the end")
    .option(
      "--studio",
      "open the studio, a page with the curves of this run; in a terminal, the studio stays open after the run until Ctrl-C",
    )
    .option("--no-memory-check", "start the run even if it needs more memory than is free");
  const configFlags = addConfigFlags(command);
  addRunningFlags(command);
  return configFlags;
};
