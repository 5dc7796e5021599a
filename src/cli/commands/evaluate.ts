import type { Command } from "commander";
import { writeConversations } from "../../chat/template.node.ts";
import { ConfigError, ForetokenError } from "../../core/errors/errors.ts";
import { corpusNames } from "../../data/corpora.node.ts";
import { compareEvaluations, type LossDifference } from "../../evaluate/compare.ts";
import { measuredDocuments } from "../../evaluate/documents.ts";
import type { Evaluation } from "../../evaluate/evaluate.ts";
import { checkSplit, type SplitName, splitNames } from "../../evaluate/evaluate-corpus.ts";
import { describeSkipped, type UnknownChoice } from "../../tokenizer/unknown.ts";
import type { WorkerLoadOptions, WorkerModel } from "../../worker/model.node.ts";
import { noInterval } from "../display/texts/comparison-table.ts";
import { formatCount, formatPlural } from "../display/texts/format.ts";
import { padRight, wrapText } from "../display/texts/width.ts";
import { chooseBackend } from "../flags/backend-choice.ts";
import {
  addDTypeFlag,
  addRunningFlags,
  checkArguments,
  type DTypeFlag,
  flagOf,
  parseChoice,
  parseFraction,
  parseInteger,
  parsePath,
  type RunningFlags,
  weightsKept,
} from "../flags/flags.ts";
import { inFlags } from "../flags/option-names.ts";
import { addUnknownFlag } from "../flags/unknown-flag.ts";
import { addWeightsFlag, type WeightsFlag } from "../flags/weights-flag.ts";
import { notes } from "../help.ts";
import {
  type FoundModel,
  isAdapterModel,
  loadNamed,
  type ModelParts,
  modelPlaces,
  runOf,
} from "../model/checkpoint-path.ts";
import { asInRun, findCorpus, measuredPart, readerLike, windowsInWords } from "../model/measured-text.ts";
import { host } from "../process/host.ts";
import { endStopped, onInterrupt } from "../process/interrupt.ts";
import { onOutputEnd, writeJson, writeNotice, writeOut } from "../process/output.ts";
import { progressLine } from "../process/progress-line.ts";
import { printableName, terminalColumns } from "../process/terminal.ts";
import { runChoices } from "./evaluate-choices.ts";

interface EvaluateFlags extends RunningFlags, DTypeFlag, WeightsFlag {
  readonly data?: string;
  readonly valFraction?: number;
  readonly split?: SplitName;
  readonly unknown: UnknownChoice;
  readonly contextLength?: number;
  readonly against?: string;
  readonly choices?: string;
}

const examples = `
Examples:
  $ npx foretoken evaluate runs/notes                       on the run's validation split
  $ npx foretoken evaluate runs/notes --split train         on the run's training split
  $ npx foretoken evaluate runs/notes --weights last        the weights of its last checkpoint
  $ npx foretoken evaluate runs/notes --data other.txt --split all --json
  $ npx foretoken evaluate runs/notes --data other.txt --unknown skip   without characters that the model does not know
  $ npx foretoken evaluate runs/chat --data chat.jsonl      on the answers of conversations
  $ npx foretoken evaluate runs/tuned --against model.gguf  compared with the model that tuning started from
  $ npx foretoken evaluate model.gguf --choices quiz.jsonl  the share of questions answered correctly

Every token after the first is predicted exactly once, so the figures have no sampling noise. A run's own text is cut into the
same windows as during the run, so the losses are the same as in the run. For models with different tokenizers, compare only
nats per character and bits per byte.`;

const figuresOf = (result: Evaluation): readonly (readonly [label: string, value: string])[] => [
  ["nats per token", result.natsPerToken.toFixed(4)],
  ["nats per character", result.natsPerCharacter.toFixed(4)],
  ["bits per byte", result.bitsPerByte.toFixed(4)],
  ["perplexity", result.perplexity.toFixed(3)],
  ["tokens", formatCount(result.tokens)],
];

/** Last row of the table: the measured text, wrapped on a narrow terminal. */
const measuredRows = (measured: string, width: number): readonly string[] =>
  wrapText(measured, width - 20).map((line, i) => padRight(i === 0 ? "measured on" : "", 20) + line);

const signed = (value: number): string => `${value > 0 ? "+" : ""}${value.toFixed(4)}`;

/** Adds the model's name to the front of notices that do not contain the name. */
const named = (model: string, notices: readonly string[]): readonly string[] =>
  notices.map((line) => (line.includes(model) ? line : `${printableName(model)}: ${line}`));

/** Explains the meaning of ±, or why there is no interval. */
const intervalText = ({ halfWidth95, blocks, windows }: LossDifference): string =>
  halfWidth95 === null
    ? noInterval(windows)
    : `± gives the 95% confidence interval of the difference for texts like this one. The interval was estimated from ${formatPlural(windows, "window")} in ${blocks} blocks.`;

/**
 * Table with the figures of two models side by side. If both models read the same tokens, the table also shows the
 * difference.
 */
const comparisonText = (
  result: Evaluation,
  other: Evaluation,
  difference: LossDifference | null,
  measured: string,
  width: number,
): string => {
  const [columns, theirs] = [figuresOf(result), figuresOf(other)];
  const differences =
    difference === null
      ? []
      : (["natsPerToken", "natsPerCharacter"] as const).map((unit) => {
          const { halfWidth95 } = difference;
          return `${signed(difference[unit])}${halfWidth95 === null ? "" : ` ± ${halfWidth95[unit].toFixed(4)}`}`;
        });
  const leftOut = [result, other].flatMap(({ skipped }, i) =>
    skipped === undefined ? [] : [`left out of ${i === 0 ? "this" : "against"}: ${describeSkipped(skipped)}`],
  );
  const last =
    leftOut.length > 0
      ? "The figures cannot be compared: different characters were left out, so the two models read different texts. Try a text with characters that both models know."
      : difference !== null
        ? intervalText(difference)
        : "The models have different tokens: compare only nats per character and bits per byte.";
  return [
    `${padRight("", 20)}${padRight("this", 12)}${padRight("against", 12)}${difference === null ? "" : "difference"}`.trimEnd(),
    ...columns.map(([label, value], i) =>
      `${padRight(label, 20)}${padRight(value, 12)}${padRight(theirs[i]?.[1] ?? "", 12)}${differences[i] ?? ""}`.trimEnd(),
    ),
    ...measuredRows(measured, width),
    ...leftOut.flatMap((line) => wrapText(line, width)),
    ...wrapText(last, width),
    "",
  ].join("\n");
};

const resultText = (result: Evaluation, measured: string, width: number): string => {
  const rows = figuresOf(result);
  const { skipped } = result;
  const leftOut =
    skipped === undefined
      ? []
      : [
          `left out: ${describeSkipped(skipped)}`,
          "The figures are for the text without these characters. Compare them only with figures for the same text.",
        ];
  return [
    ...rows.map(([label, value]) => padRight(label, 20) + value),
    ...measuredRows(measured, width),
    ...leftOut.flatMap((line) => wrapText(line, width)),
    "",
  ].join("\n");
};

/**
 * Flags for the first model. If it needs no base, and the other model is an adapter, `--base` is for the other model, and
 * so is `--no-base-check` if the first model has no adapter.
 */
const partsOfFirst = async (path: string, flags: EvaluateFlags): Promise<ModelParts> => {
  const { base, baseCheck = true, against, adapter, weights } = flags;
  if (against === undefined || (base === undefined && baseCheck)) return flags;
  if ((adapter === undefined && (await isAdapterModel(path))) || !(await isAdapterModel(against))) return flags;
  const own = weights === undefined ? {} : { weights };
  return adapter === undefined ? own : { ...own, adapter, baseCheck };
};

/**
 * Loads the model to compare with. If it is an adapter that does not find its own base, its base is the model of
 * `--base`. If loading fails, `lm` is closed.
 */
const loadOther = async (
  flags: EvaluateFlags,
  lm: WorkerModel,
  options: WorkerLoadOptions,
): Promise<FoundModel | null> => {
  const { against, base, baseCheck = true } = flags;
  if (against === undefined) return null;
  try {
    const running = await asInRun(against, options);
    return await loadNamed(against, {}, running).catch(async (error: unknown) => {
      const asked = base !== undefined || !baseCheck;
      if (!asked || !(error instanceof ForetokenError) || !(await isAdapterModel(against))) throw error;
      const found = await loadNamed(against, { ...(base === undefined ? {} : { base }), baseCheck }, running);
      const told =
        base === undefined ? [] : [`${against}: measured on the base model of --base, because it did not find its own`];
      return { ...found, notices: [...told, ...found.notices] };
    });
  } catch (error) {
    await lm.close();
    throw error;
  }
};

/** The evaluation as JSON output. @param contextLength tokens per window. */
const inJson = ({ windows: _, ...figures }: Evaluation, contextLength: number) => ({ ...figures, contextLength });

/** Returns null if the models split the text into different tokens. */
const differenceOf = (one: Evaluation, other: Evaluation): LossDifference | null => {
  const [first, second] = [one.windows ?? [], other.windows ?? []];
  const isSame = first.length === second.length && first.every(({ tokens }, i) => tokens === second[i]?.tokens);
  return isSame ? compareEvaluations(one, other) : null;
};

const runEvaluate = async (path: string, flags: EvaluateFlags): Promise<void> => {
  const { threads, split, unknown, contextLength, json } = flags;
  const { backend, remark } = await chooseBackend(flags);
  const { choices } = flags;
  if (choices !== undefined) {
    const open = async (): Promise<WorkerModel> => {
      const { lm, notices } = await loadNamed(
        path,
        flags,
        await asInRun(path, { backend, threads, ...weightsKept(flags) }),
      );
      for (const line of [remark, ...notices]) if (line !== undefined) writeNotice(line);
      return lm;
    };
    await runChoices(open, choices, json === true);
    return;
  }
  checkSplit(split, flags.valFraction);
  const loading = { backend, threads, ...weightsKept(flags) };
  const { lm, directory, notices } = await loadNamed(
    path,
    await partsOfFirst(path, flags),
    await asInRun(path, loading),
  );
  const other = await loadOther(flags, lm, loading);
  const interrupt = onInterrupt(() => {});
  onOutputEnd(interrupt.abort);
  const progress = progressLine(json === true);
  try {
    const run = flags.data === undefined ? await runOf(directory) : undefined;
    const { kind, corpus } = await findCorpus("evaluate", run, flags, split);
    // The run's folder may contain a copy of the text. Show the name that the user gave to the text.
    const name = printableName(run?.data.name ?? corpus.name);
    if (corpus.notice !== undefined) writeNotice(corpus.notice);
    const { whole, inWords, notice } = measuredPart(kind, name, flags, run);
    const models = other === null ? [lm] : [lm, other.lm];
    // Use the window length of the run's training: an adapter may train on windows that are shorter than the model's
    // context.
    const ownWindow = run === undefined ? [] : [run.config.model.contextLength];
    const window = contextLength ?? Math.min(...ownWindow, ...models.map(({ config }) => config.contextLength));
    const measured = `${inWords}${windowsInWords(kind, window)}`;
    const measure = async (one: WorkerModel, its: string): Promise<Evaluation> => {
      const read =
        kind === "text"
          ? corpus
          : await measuredDocuments(readerLike(lm, one), corpus, split ?? whole, unknown, writeConversations);
      const evaluation = one.evaluate(read, {
        split,
        unknown,
        contextLength: window,
        windows: other !== null,
        signal: interrupt.signal,
        onProgress: (done, all) =>
          progress.update(`measuring ${Math.floor((100 * done) / all)}% of ${formatCount(all)} tokens`),
      });
      return evaluation.catch((error: unknown) => {
        if (!(error instanceof ConfigError) || error.details.where !== "evaluation") throw error;
        throw new ConfigError({ ...error.details, where: printableName(its), cause: error });
      });
    };
    const result = await measure(lm, path);
    const { stdout } = host;
    const width = stdout.isTTY ? terminalColumns(stdout) : Number.POSITIVE_INFINITY;
    const against = other === null ? null : await measure(other.lm, flags.against ?? "");
    progress.clear();
    // Print this after all checks of the input. A mistake then prints only its error line.
    const told = other === null ? notices : [...named(path, notices), ...named(flags.against ?? "", other.notices)];
    for (const line of [remark, ...told, notice]) if (line !== undefined) writeNotice(line);
    if (against === null) {
      if (json === true) writeJson(inJson(result, window));
      else writeOut(resultText(result, measured, width));
      return;
    }
    const difference = differenceOf(result, against);
    if (json === true) writeJson({ ...inJson(result, window), against: inJson(against, window), difference });
    else writeOut(comparisonText(result, against, difference, measured, width));
  } catch (error) {
    progress.clear();
    if (!interrupt.signal.aborted) throw error;
    endStopped(interrupt, "the evaluation is not complete");
  } finally {
    interrupt.release();
    await lm.close();
    await other?.lm.close();
  }
};

/** `foretoken evaluate`. */
export const declareEvaluate = (command: Command): void => {
  const withText = command
    .usage("<checkpoint> [flags]")
    .argument("<checkpoint>", modelPlaces, parsePath("<checkpoint>"))
    .optionsGroup("Text: the text to measure on")
    .option(
      "--data <text>",
      "the name of a corpus, a UTF-8 file, or a folder of UTF-8 files (hidden files and node_modules are skipped). Documents are a .jsonl file or a folder of .jsonl files; only their answers are measured (default: the run's text)",
      parsePath("--data", corpusNames),
    )
    .option(
      "--choices <file>",
      'a file of questions to measure instead of a text: JSON lines such as {"context": "2 + 2 =", "choices": [" 4", " 5"], "answer": 0} (default: none)',
      parsePath("--choices"),
    )
    .option(
      "--val-fraction <x>",
      "share of the text that belongs to val, the end of the text (default: the run's share, or 0.1)",
      parseFraction("--val-fraction"),
    )
    .option(
      "--split <name>",
      "part of the text to measure on: val, train or all (default: val; all for documents in --data)",
      parseChoice("--split", splitNames),
    )
    .option(
      "--context-length <n>",
      "number of tokens in each window of the text, at most the model's context length (default: the context length; for a run's own text, the window length in training)",
      parseInteger("--context-length", 1),
    )
    .option(
      "--against <model>",
      "another model to measure on the same windows; the output shows the difference of the losses with a 95% confidence interval. An adapter that does not find its own base model takes the model of --base (default: none)",
      parsePath("--against"),
    );
  addDTypeFlag(
    addRunningFlags(addWeightsFlag(addUnknownFlag(withText, "text"))),
    "; auto: the type that the run used, or the fastest type for a model that is not from a run",
  )
    .addHelpText("after", notes(examples))
    .allowExcessArguments()
    .action(async (path: string, flags: EvaluateFlags) => {
      checkArguments(command);
      const textFlags = ["data", "valFraction", "split", "contextLength", "against", "unknown"];
      const idle = flags.choices && textFlags.find((name) => command.getOptionValueSource(name) === "cli");
      if (idle) {
        throw new ConfigError({
          where: flagOf(idle),
          must: "cannot be used with --choices",
          got: "both",
          hint: "one of them",
        });
      }
      await runEvaluate(path, flags).catch((error: unknown) => {
        throw inFlags(error, [[", the option chatTemplate", ""]]);
      });
    });
};
