import type { Command } from "commander";
import { writeConversations } from "../../chat/template.node.ts";
import { ConfigError } from "../../core/errors/errors.ts";
import { corpusNames } from "../../data/corpora.node.ts";
import { compareRuns } from "../../evaluate/compare-runs.ts";
import { measuredDocuments } from "../../evaluate/documents.ts";
import type { Evaluation } from "../../evaluate/evaluate.ts";
import { checkSplit, type SplitName, splitNames } from "../../evaluate/evaluate-corpus.ts";
import type { WorkerLoadOptions, WorkerModel } from "../../worker/model.node.ts";
import { comparisonTable } from "../display/texts/comparison-table.ts";
import { formatCount } from "../display/texts/format.ts";
import { chooseBackend } from "../flags/backend-choice.ts";
import {
  addDTypeFlag,
  addRunningFlags,
  type DTypeFlag,
  expecting,
  parseChoice,
  parseFraction,
  parseInteger,
  parsePath,
  type RunningFlags,
  weightsKept,
} from "../flags/flags.ts";
import { inFlags } from "../flags/option-names.ts";
import { weightsOption } from "../flags/weights-flag.ts";
import { notes } from "../help.ts";
import { loadNamed, runOf, runOfModel, type WeightsName } from "../model/checkpoint-path.ts";
import { type ComparedModel, type ComparedSetting, comparedSettings } from "../model/compared-settings.ts";
import { asInRun, findCorpus, measuredPart, readerLike, windowsInWords } from "../model/measured-text.ts";
import { host } from "../process/host.ts";
import { endStopped, onInterrupt } from "../process/interrupt.ts";
import { onOutputEnd, writeJson, writeNotice, writeOut } from "../process/output.ts";
import { progressLine } from "../process/progress-line.ts";
import { printableName, terminalColumns } from "../process/terminal.ts";

interface CompareFlags extends RunningFlags, DTypeFlag {
  readonly data?: string;
  readonly valFraction?: number;
  readonly split?: SplitName;
  readonly contextLength?: number;
  readonly weights?: WeightsName;
  readonly group?: true;
}

const examples = `
Examples:
  $ npx foretoken compare runs/a runs/b                     two models, on the validation split of the first run
  $ npx foretoken compare runs/a1,runs/a2 runs/b1,runs/b2   two settings, with two seeds each
  $ npx foretoken compare --group runs/*                    groups runs that differ only in their seeds
  $ npx foretoken compare runs/a runs/b model.gguf --data other.txt --split all --json

Each setting is compared with the first setting. Two runs of one setting also differ, because of their seeds. So give several
runs of each setting: only then can the comparison tell whether the setting or the seed made the difference. Runs with the same seed in both
settings are paired, which removes a part of the noise. p is the probability of a difference this large if the settings were equally good;
with more than two settings, p is corrected by Holm's method. If p is below 0.05, a setting is called better or worse.`;

/** A run or a model, and the losses that were measured for it. */
interface MeasuredModel extends ComparedModel {
  readonly evaluation: Evaluation;
}

interface MeasuredRuns {
  readonly name: string;
  readonly models: readonly MeasuredModel[];
}

const mean = (numbers: readonly number[]): number => numbers.reduce((sum, value) => sum + value, 0) / numbers.length;

/** Seeds of the runs; undefined if any of the models is not from a run. */
const seedsOf = (models: readonly ComparedModel[]): readonly number[] | undefined => {
  const seeds = models.flatMap(({ run }) => run?.config.train.seed ?? []);
  return seeds.length === models.length ? seeds : undefined;
};

/** @throws ConfigError for models that split the text into different tokens. */
const checkSameTokens = (settings: readonly MeasuredRuns[]): void => {
  const [first, ...others] = settings.flatMap(({ models }) => models);
  const windows = first?.evaluation.windows ?? [];
  const other = others.find(
    ({ evaluation }) =>
      evaluation.windows?.length !== windows.length ||
      evaluation.windows.some(({ tokens }, i) => tokens !== windows[i]?.tokens),
  );
  if (other === undefined) return;
  throw new ConfigError({
    where: "compare",
    must: "all models must split the text into the same tokens",
    got: `${first?.evaluation.tokens} of ${first?.path}, and ${other.evaluation.tokens} of ${other.path}`,
    hint: "npx foretoken evaluate MODEL --against OTHER, which gives comparable nats per character and bits per byte",
  });
};

const differencesOf = (settings: readonly MeasuredRuns[]) =>
  compareRuns(
    settings.map(({ models }) => ({ evaluations: models.map(({ evaluation }) => evaluation), seeds: seedsOf(models) })),
  );

const report = (
  settings: readonly MeasuredRuns[],
  measured: {
    readonly inWords: string;
    readonly text: string;
    readonly part: SplitName;
    readonly contextLength: number;
  },
  json: boolean,
): void => {
  checkSameTokens(settings);
  const differences = differencesOf(settings);
  const rows = settings.map(({ name, models }, i) => ({
    name,
    runs: models.length,
    natsPerToken: mean(models.map(({ evaluation }) => evaluation.natsPerToken)),
    difference: differences[i - 1] ?? null,
  }));
  if (!json) {
    const { stdout } = host;
    const width = stdout.isTTY ? terminalColumns(stdout) : Number.POSITIVE_INFINITY;
    const shown = rows.map((row) => ({ ...row, name: printableName(row.name) }));
    writeOut(comparisonTable(shown, measured.inWords, width));
    return;
  }
  const { text, part, contextLength } = measured;
  writeJson({
    ...{ text, split: part, contextLength },
    settings: settings.map(({ models }, i) => ({
      runs: models.map(({ path, run, evaluation: { windows: _, ...figures } }) => ({
        path,
        seed: run?.config.train.seed ?? null,
        ...figures,
      })),
      natsPerToken: rows[i]?.natsPerToken,
      difference: differences[i - 1] ?? null,
    })),
  });
};

/**
 * Prints a notice for each run that trained on a different text than the first run, or on a different part of the text.
 * The same holds for the teachers of a run.
 */
const noticeOtherTexts = async (settings: readonly ComparedSetting[], flags: CompareFlags): Promise<void> => {
  const [first, ...others] = settings.flatMap(({ models }) => models);
  if (flags.data !== undefined || first?.run === undefined) return;
  const { sha256 } = first.run.data;
  const different = `a different text than ${printableName(first.path)}, or on a different part of the same text`;
  for (const { path, run } of others) {
    if (run !== undefined && run.data.sha256 !== sha256)
      writeNotice(`${printableName(path)} trained on ${different}, so this run may have seen the measured text`);
  }
  for (const { path, run } of [first, ...others]) {
    for (const { path: teacher } of run?.data.teachers ?? []) {
      const taught = await runOfModel(teacher);
      if (taught !== undefined && taught.data.sha256 !== sha256) {
        writeNotice(
          `${printableName(path)} learned from ${printableName(teacher)}, which trained on ${different}, so it may have seen the measured text`,
        );
      }
    }
  }
};

const runCompare = async (words: readonly string[], flags: CompareFlags): Promise<void> => {
  const { threads, split, weights, json = false } = flags;
  checkSplit(split, flags.valFraction);
  const settings = await comparedSettings(words, flags.group === true);
  const { backend, remark } = await chooseBackend(flags);
  const loading: WorkerLoadOptions = { backend, threads, ...weightsKept(flags) };
  const interrupt = onInterrupt(() => {});
  onOutputEnd(interrupt.abort);
  const progress = progressLine(json);
  const load = async ({ path, run }: ComparedModel) =>
    loadNamed(path, run === undefined || weights === undefined ? {} : { weights }, await asInRun(path, loading));
  const all = settings.flatMap(({ models }) => models);
  const [first] = all as [ComparedModel];
  let lm: WorkerModel | undefined;
  let reader: Parameters<typeof readerLike>[0] | undefined;
  try {
    if (remark !== undefined) writeNotice(remark);
    // The context of every model must be at least one window long. A model that is not from a run is opened to get its
    // context length.
    const contexts: number[] = [];
    for (const model of flags.contextLength === undefined ? all : []) {
      const known = model.run?.config.model.contextLength;
      if (known === undefined) {
        ({ lm } = await load(model));
        contexts.push(lm.config.contextLength);
        await lm.close();
      } else contexts.push(known);
    }
    const contextLength = flags.contextLength ?? Math.min(...contexts);
    const found = await load(first);
    lm = found.lm;
    const run = flags.data === undefined ? await runOf(found.directory) : undefined;
    const { kind, corpus } = await findCorpus("compare", run, flags, split);
    const name = printableName(run?.data.name ?? corpus.name);
    if (corpus.notice !== undefined) writeNotice(corpus.notice);
    const { part, inWords, notice } = measuredPart(kind, name, flags, run);
    await noticeOtherTexts(settings, flags);
    if (notice !== undefined) writeNotice(notice);
    const { tokenizer, chatTemplate, endTokens } = lm;
    reader = { tokenizer, chatTemplate, endTokens };
    let done = 0;
    const measure = async (model: ComparedModel): Promise<MeasuredModel> => {
      const { lm: one, notices } = done === 0 ? found : await load(model);
      lm = one;
      for (const line of notices)
        writeNotice(`${line.includes(model.path) ? "" : `${printableName(model.path)}: `}${line}`);
      const read =
        kind === "text"
          ? corpus
          : await measuredDocuments(readerLike(reader ?? one, one), corpus, part, "error", writeConversations);
      const evaluation = await one.evaluate(read, {
        ...{ split: kind === "text" ? part : undefined, contextLength, windows: true, signal: interrupt.signal },
        onProgress: (predicted, tokens) =>
          progress.update(
            `${done + 1} of ${all.length}: measuring ${Math.floor((100 * predicted) / tokens)}% of ${formatCount(tokens)} tokens`,
          ),
      });
      await one.close();
      done++;
      return { ...model, evaluation };
    };
    const measured: MeasuredRuns[] = [];
    for (const { name, models } of settings) {
      const runs: MeasuredModel[] = [];
      for (const model of models) runs.push(await measure(model));
      measured.push({ name, models: runs });
    }
    progress.clear();
    report(
      measured,
      { inWords: `${inWords}${windowsInWords(kind, contextLength)}`, text: name, part, contextLength },
      json,
    );
  } catch (error) {
    progress.clear();
    if (!interrupt.signal.aborted) throw error;
    endStopped(interrupt, "the comparison is not complete");
  } finally {
    interrupt.release();
    await lm?.close();
  }
};

/** `foretoken compare`. */
export const declareCompare = (command: Command): void => {
  const setting = parsePath("<setting...>");
  const withText = command
    .usage("<setting...> [flags]")
    .argument(
      "<setting...>",
      "two or more settings; each is a run's folder, a model directory, a GGUF file, hf:org/name, or a list of runs with commas",
      expecting((text: string, earlier: readonly string[] = []) => [...earlier, setting(text)], {
        paths: true,
        repeats: true,
      }),
    )
    .optionsGroup("Settings: grouping of runs, and their weights")
    .option(
      "--group",
      "group the given runs into settings: runs with the same text and the same configuration belong to one setting, even if their seeds differ",
    )
    .addOption(weightsOption())
    .optionsGroup("Text: the text to measure on")
    .option(
      "--data <text>",
      "the name of a corpus, a UTF-8 file, or a folder of UTF-8 files (hidden files and node_modules are skipped). Documents are a .jsonl file or a folder of .jsonl files; only their answers are measured (default: the text of the first run)",
      parsePath("--data", corpusNames),
    )
    .option(
      "--val-fraction <x>",
      "share of the text that belongs to val, the end of the text (default: the share of the first run, or 0.1)",
      parseFraction("--val-fraction"),
    )
    .option(
      "--split <name>",
      "part of the text to measure on: val, train or all (default: val; all for documents in --data)",
      parseChoice("--split", splitNames),
    )
    .option(
      "--context-length <n>",
      "number of tokens in each window of the text (default: the shortest context length of the models, which is also the maximum)",
      parseInteger("--context-length", 1),
    );
  addDTypeFlag(
    addRunningFlags(withText),
    "; auto: the type that the run used, or the fastest type for a model that is not from a run",
  )
    .addHelpText("after", notes(examples))
    .action(async (settings: readonly string[], flags: CompareFlags) => {
      await runCompare(settings, flags).catch((error: unknown) => {
        throw inFlags(error, [
          ['unknown: "skip"', "--data with a text whose characters all models know"],
          [", the option chatTemplate", ""],
        ]);
      });
    });
};
