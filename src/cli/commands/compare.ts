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
import { loadNamed, runOf, type WeightsName } from "../model/checkpoint-path.ts";
import { type ComparedModel, type ComparedSetting, comparedSettings } from "../model/compared-settings.ts";
import { asInRun, findCorpus, measuredPart, readerLike, windowsInWords } from "../model/measured-text.ts";
import { host } from "../process/host.ts";
import { onInterrupt } from "../process/interrupt.ts";
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
  $ npx foretoken compare runs/a runs/b                     two models, on what the first one's run held out
  $ npx foretoken compare runs/a1,runs/a2 runs/b1,runs/b2   two settings, with two seeds each
  $ npx foretoken compare --group runs/*                    runs put together that differ in their seeds alone
  $ npx foretoken compare runs/a runs/b model.gguf --data other.txt --split all --json

Each setting is compared with the first. Two trainings of one setting with other seeds differ, too: only several runs
of each setting tell whether another setting, or another seed, has made the difference. The same seeds in both settings
make pairs, in which a part of that noise cancels. p is the probability of a difference so large between settings that are alike; of
several settings it is corrected by Holm's method. Below 0.05 a difference is called better or worse.`;

/** A measured run or model. */
interface MeasuredModel extends ComparedModel {
  readonly evaluation: Evaluation;
}

interface MeasuredRuns {
  readonly name: string;
  readonly models: readonly MeasuredModel[];
}

const mean = (numbers: readonly number[]): number => numbers.reduce((sum, value) => sum + value, 0) / numbers.length;

/** The seeds of runs; undefined where one has none. */
const seedsOf = (models: readonly ComparedModel[]): readonly number[] | undefined => {
  const seeds = models.flatMap(({ run }) => run?.config.train.seed ?? []);
  return seeds.length === models.length ? seeds : undefined;
};

/** @throws ConfigError for models that read the text as other tokens. */
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
    must: "all models must read the text as the same tokens",
    got: `${first?.evaluation.tokens} of ${first?.path}, and ${other.evaluation.tokens} of ${other.path}`,
    hint: "npx foretoken evaluate MODEL --against OTHER, whose nats per character and bits per byte compare",
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

/** Runs that learned another text than the first one's, or another part of it. */
const noticeOtherTexts = (settings: readonly ComparedSetting[], flags: CompareFlags): void => {
  const [first, ...others] = settings.flatMap(({ models }) => models);
  if (flags.data !== undefined || first?.run === undefined) return;
  const { sha256 } = first.run.data;
  for (const { path, run } of others) {
    if (run !== undefined && run.data.sha256 !== sha256) {
      writeNotice(
        `${printableName(path)} learned another text than ${printableName(first.path)}, or another part: it may have learned from what is measured`,
      );
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
    // The window is one that all models can have: those of no run are opened to see theirs.
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
    const { part, inWords, notice } = measuredPart(kind, name, flags);
    noticeOtherTexts(settings, flags);
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
    host.exitCode = interrupt.status();
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
      "two or more: a run's folder, a model's directory, a GGUF file or hf:org/name, or several runs with commas between them",
      expecting((text: string, earlier: readonly string[] = []) => [...earlier, setting(text)], {
        paths: true,
        repeats: true,
      }),
    )
    .optionsGroup("Settings: which runs belong together, and their weights")
    .option("--group", "put the named runs together that have the same configuration but the seed, and the same text")
    .addOption(weightsOption())
    .optionsGroup("Text: what to measure on")
    .option(
      "--data <text>",
      "a corpus by name, a UTF-8 file, or a folder of them, without hidden files and node_modules; or documents, of which the answers are measured: a .jsonl file or a folder of such (default: that of the first run)",
      parsePath("--data", corpusNames),
    )
    .option(
      "--val-fraction <x>",
      "which last share of the text is val (default: the first run's, or 0.1)",
      parseFraction("--val-fraction"),
    )
    .option(
      "--split <name>",
      "which part to measure on: val, train or all (default: val; of documents in --data, all)",
      parseChoice("--split", splitNames),
    )
    .option(
      "--context-length <n>",
      "tokens of the windows that the text is cut into (default: the shortest context of all models, which is the most)",
      parseInteger("--context-length", 1),
    );
  addDTypeFlag(addRunningFlags(withText), "; auto: that of the run, or what is fastest for a model of no run")
    .addHelpText("after", notes(examples))
    .action(async (settings: readonly string[], flags: CompareFlags) => {
      await runCompare(settings, flags).catch((error: unknown) => {
        throw inFlags(error);
      });
    });
};
