import type { Command } from "commander";
import { ConfigError } from "../../core/errors.ts";
import { corpusNames, loadCorpus } from "../../data/corpora.node.ts";
import { type Corpus, splitText } from "../../data/corpus.ts";
import { loadRunCorpus } from "../../train/folder/run-corpus.node.ts";
import type { Evaluation } from "../../train/measuring/evaluate.ts";
import { checkSplit, type SplitName, splitNames } from "../../train/measuring/evaluate-corpus.ts";
import { chooseBackend } from "../backend-choice.ts";
import { loadNamed, runOf } from "../checkpoint-path.ts";
import { formatCount } from "../display/texts/format.ts";
import {
  addDTypeFlag,
  addRunningFlags,
  checkArguments,
  type DTypeFlag,
  parseChoice,
  parseFraction,
  parsePath,
  type RunningFlags,
} from "../flags.ts";
import { onInterrupt } from "../interrupt.ts";
import { inFlags } from "../option-names.ts";
import { onOutputEnd, writeJson, writeNotice, writeOut } from "../output.ts";
import { addWeightsFlag, type WeightsFlag } from "../weights-flag.ts";

interface EvaluateFlags extends RunningFlags, DTypeFlag, WeightsFlag {
  readonly data?: string;
  readonly valFraction?: number;
  readonly split: SplitName;
}

const examples = `
Examples:
  $ npx foretoken evaluate runs/notes                       on what its run held out
  $ npx foretoken evaluate runs/notes --split train         on what it has learned from
  $ npx foretoken evaluate runs/notes --weights last        the weights of its last checkpoint
  $ npx foretoken evaluate runs/notes --data other.txt --split all --json

Every token after the first is predicted once, so the figures have no sampling noise. Between models with different
tokenizers only nats per character and bits per byte compare.`;

/** The text of the flags, or the text of the checkpoint's run. */
const findCorpus = async (directory: string, { data, valFraction }: EvaluateFlags): Promise<Corpus> => {
  const run = data === undefined ? await runOf(directory) : undefined;
  if (run === undefined && data === undefined) {
    throw new ConfigError({
      where: "evaluate",
      must: "a text must be named for a model that lies in no run's folder",
      got: "no --data",
      hint: "--data FILE",
    });
  }
  if (run === undefined) return loadCorpus(data, { valFraction });
  const corpus = await loadRunCorpus(run.data);
  if (valFraction === undefined) return corpus;
  if (run.data.valData !== null) {
    throw new ConfigError({
      where: "--val-fraction",
      must: "must not be given for a run that had --val-data",
      got: String(valFraction),
      hint: "--data as well",
    });
  }
  return { ...corpus, ...splitText(corpus.train + corpus.val, valFraction) };
};

const resultText = (result: Evaluation): string => {
  const rows: readonly (readonly [label: string, value: string])[] = [
    ["nats per token", result.natsPerToken.toFixed(4)],
    ["nats per character", result.natsPerCharacter.toFixed(4)],
    ["bits per byte", result.bitsPerByte.toFixed(4)],
    ["perplexity", result.perplexity.toFixed(3)],
    ["tokens", formatCount(result.tokens)],
  ];
  return rows.map(([label, value]) => `${label.padEnd(20)}${value}\n`).join("");
};

/** A line on a terminal with the progress; nothing elsewhere. */
const progressLine = (hidden: boolean) => {
  const { stderr } = process;
  const show = !hidden && stderr.isTTY && process.env.TERM !== "dumb";
  let shownAt = performance.now();
  return {
    update(done: number, all: number): void {
      if (!show || performance.now() - shownAt < 100) return;
      shownAt = performance.now();
      stderr.write(`\r\u001b[Kmeasuring ${Math.floor((100 * done) / all)}% of ${formatCount(all)} tokens`);
    },
    clear(): void {
      if (show) stderr.write("\r\u001b[K");
    },
  };
};

const runEvaluate = async (path: string, flags: EvaluateFlags): Promise<void> => {
  const { threads, dtype, split, json } = flags;
  const { backend, remark } = await chooseBackend(flags);
  checkSplit(split, flags.valFraction);
  const { lm, directory, notices } = await loadNamed(path, flags.weights, { backend, threads, dtype });
  const interrupt = onInterrupt(() => {});
  onOutputEnd(interrupt.abort);
  const progress = progressLine(json === true);
  try {
    const corpus = await findCorpus(directory, flags);
    if (corpus.notice !== undefined) writeNotice(corpus.notice);
    const result = await lm.evaluate(corpus, { split, signal: interrupt.signal, onProgress: progress.update });
    progress.clear();
    // After all checks of the input, so that a mistake gives one line only.
    for (const line of [remark, ...notices]) if (line !== undefined) writeNotice(line);
    if (json === true) {
      const { natsPerToken, natsPerCharacter, bitsPerByte, perplexity, tokens } = result;
      writeJson({ natsPerToken, natsPerCharacter, bitsPerByte, perplexity, tokens });
    } else writeOut(resultText(result));
  } catch (error) {
    progress.clear();
    if (!interrupt.signal.aborted) throw error;
    process.exitCode = interrupt.status();
  } finally {
    interrupt.release();
    await lm.close();
  }
};

/** `foretoken evaluate`. */
export const declareEvaluate = (command: Command): void => {
  command
    .usage("<checkpoint> [flags]")
    .argument("<checkpoint>", "a directory that train wrote, or a run's folder", parsePath("<checkpoint>"))
    .optionsGroup("Text:")
    .option(
      "--data <text>",
      "a corpus by name, a UTF-8 file, or a folder of them, without hidden files and node_modules (default: the run's own)",
      parsePath("--data", corpusNames),
    )
    .option(
      "--val-fraction <x>",
      "which last share of the text is val (default: the run's, or 0.1)",
      parseFraction("--val-fraction"),
    )
    .option("--split <name>", "which part to measure on: val, train or all", parseChoice("--split", splitNames), "val");
  addDTypeFlag(addRunningFlags(addWeightsFlag(command)))
    .addHelpText("after", examples)
    .allowExcessArguments()
    .action(async (path: string, flags: EvaluateFlags) => {
      checkArguments(command);
      await runEvaluate(path, flags).catch((error: unknown) => {
        throw inFlags(error);
      });
    });
};
