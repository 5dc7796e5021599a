import type { Command } from "commander";
import { ConfigError, ForetokenError } from "../../core/errors/errors.ts";
import { corpusNames } from "../../data/corpora.node.ts";
import type { Corpus } from "../../data/corpus.ts";
import { compareForms, compareModels } from "../../evaluate/compare-models.ts";
import { evaluateCorpus } from "../../evaluate/evaluate-corpus.ts";
import { evaluateForm } from "../../evaluate/evaluate-form.ts";
import { isAdapterPlace } from "../../pretrained/adapter/open.node.ts";
import { openSource } from "../../pretrained/export/source.node.ts";
import { type LoadOptions, loadPretrained } from "../../pretrained/load.node.ts";
import type { LanguageModel } from "../../pretrained/model/language-model.ts";
import { graphsOf, type OpenedOnnx, openOnnx } from "../../pretrained/onnx/run/open.node.ts";
import { formatBytes, formatCount } from "../display/texts/format.ts";
import { type VerifiedForm, verifyTable } from "../display/texts/verify-table.ts";
import { chooseBackend } from "../flags/backend-choice.ts";
import { addRunningFlags, parseInteger, parsePath, type RunningFlags } from "../flags/flags.ts";
import { inFlags } from "../flags/option-names.ts";
import { addWeightsFlag, type WeightsFlag } from "../flags/weights-flag.ts";
import { notes } from "../help.ts";
import { inModelFlags, modelDirectory, modelPlaces, weightsDirectory } from "../model/checkpoint-path.ts";
import { promptsOf, type TextToVerify, textToVerify } from "../model/verify-prompts.ts";
import { exitStatus } from "../process/exit-status.ts";
import { host } from "../process/host.ts";
import { onInterrupt } from "../process/interrupt.ts";
import { onOutputEnd, writeJson, writeNotice, writeOut } from "../process/output.ts";
import { type ProgressLine, progressLine } from "../process/progress-line.ts";
import { printableName, styleFor } from "../process/terminal.ts";

interface VerifyFlags extends RunningFlags, WeightsFlag {
  readonly data?: string;
  readonly promptCount: number;
  readonly maxNewTokens: number;
  readonly contextLength?: number;
}

const examples = `
Examples:
  $ npx foretoken verify runs/notes runs/notes-f32.gguf runs/notes-q8_0.gguf
  $ npx foretoken verify model.gguf models/notes --data notes.txt
  $ npx foretoken verify runs/notes runs/notes-onnx models/notes/onnx/model_quantized.onnx
  $ npx foretoken verify runs/letters runs/letters-adapter-f32.gguf runs/letters-f32.gguf   an adapter alone, and merged

Every form is read by this program's own reader, its weights widened to float32; of a graph of ONNX, each node is computed. A graph with other
operators than those that export writes is refused by name. MODEL continues each prompt with its most probable tokens;
then MODEL and the form compute the logits of the same tokens. A margin is the distance between MODEL's two largest logits
where the form chooses another token: a small one says that either may come. Prompts are from the text that is measured: the last
10% of --data, or what a run held out. Without a text, prompts are tokens that are drawn at random. Tokenizers are compared, too: tokens by id,
merges, ids of the prompts' texts, ids that end a text; and chat templates. The first difference has a line below the table, and the exit
status is 1. A file that cannot be read gives one line, and the exit status 2.`;

/** A form that was measured, or the reason why not. */
type Outcome = VerifiedForm | { readonly file: string; readonly error: ForetokenError };

/** What all forms are compared on. */
interface Comparison {
  readonly signal: AbortSignal;
  readonly line: ProgressLine;
  /** Loads a form; its caller closes it. */
  readonly open: (place: string, options: LoadOptions) => Promise<LanguageModel>;
  /** Tokens of the windows in which a model with this context is measured. */
  readonly windowOf: (context: number) => number;
  /** Bits per byte of the text; null: there is none. */
  readonly measure: (lm: LanguageModel, name: string) => Promise<number | null>;
  /** The same of a graph of ONNX. */
  readonly openGraph: (path: string) => Promise<OpenedOnnx>;
  readonly measureGraph: (form: OpenedOnnx, name: string) => Promise<number | null>;
}

const comparisonOf = async (
  flags: VerifyFlags,
  text: TextToVerify | undefined,
  line: ProgressLine,
  signal: AbortSignal,
): Promise<Comparison> => {
  const { threads, baseCheck = true, contextLength } = flags;
  const { backend, remark } = await chooseBackend(flags);
  const notice = (told: string): void => {
    line.clear();
    writeNotice(told);
  };
  if (remark !== undefined) notice(remark);
  const corpus = text?.corpus;
  const windowOf = (context: number): number => contextLength ?? Math.min(text?.ownWindow ?? context, context);
  const measuring = (name: string, context: number) => ({
    ...{ signal, contextLength: windowOf(context) },
    onProgress: (done: number, all: number) =>
      line.update(`${name}: measuring ${Math.floor((100 * done) / all)}% of ${formatCount(all)} tokens`),
  });
  return {
    ...{ signal, line, windowOf },
    open: (place, options) =>
      loadPretrained(place, {
        // Other products would round away a part of the difference.
        ...{ backend, threads, dtype: "float32", keepBlocks: false, baseCheck, onNotice: notice, ...options },
        onProgress: (bytes, all) =>
          line.update(`${place}: loading ${Math.floor((100 * bytes) / all)}% of ${formatBytes(all)}`),
      }),
    async measure(lm, name) {
      if (corpus === undefined) return null;
      return (await evaluateCorpus(lm, corpus, measuring(name, lm.model.config.contextLength))).bitsPerByte;
    },
    openGraph: (path) => openOnnx(path, { backend, threads, signal }),
    measureGraph: async (form, name) =>
      corpus === undefined ? null : (await evaluateForm(form, corpus, measuring(name, form.contextLength))).bitsPerByte,
  };
};

/** The model that the forms are compared with. */
interface Verified {
  readonly lm: LanguageModel;
  readonly prompts: readonly (string | readonly number[])[];
  readonly maxNewTokens: number;
  /** The place of the model without its adapter: adapters alone are put on it. */
  readonly base: () => Promise<string>;
}

/** A form as the user named it, and its graph of ONNX, if it is one. */
interface NamedForm {
  readonly file: string;
  readonly graph: string | null;
}

/** A folder with several graphs has a form for each. */
const formsOf = async (file: string): Promise<readonly NamedForm[]> => {
  const graphs = await graphsOf(file);
  if (graphs === undefined) return [{ file, graph: null }];
  return graphs.map((graph) => ({ file: graphs.length === 1 ? file : graph, graph }));
};

const verifyForm = async (
  { file, graph }: NamedForm,
  { lm, prompts, maxNewTokens, base }: Verified,
  { signal, line, open, windowOf, measure, openGraph, measureGraph }: Comparison,
): Promise<VerifiedForm> => {
  const options = {
    ...{ prompts, maxNewTokens, signal },
    onProgress: (done: number) => line.update(`${file}: ${done} of ${prompts.length} prompts`),
  };
  if (graph !== null) {
    const form = await openGraph(graph);
    try {
      const contextLength = windowOf(form.contextLength);
      const difference = await compareForms(lm, form, options);
      return { file, ...difference, bitsPerByte: await measureGraph(form, file), contextLength };
    } finally {
      await form.close();
    }
  }
  const place = await modelDirectory(file);
  const form = await open(place, (await isAdapterPlace(place)) ? { base: await base() } : {});
  try {
    const contextLength = windowOf(form.model.config.contextLength);
    const difference = await compareModels(lm, form, options);
    return { file, ...difference, bitsPerByte: await measure(form, file), contextLength };
  } finally {
    await form.close();
  }
};

/** An error about two models in words about the file. */
const aboutFile = (file: string, error: unknown): unknown =>
  error instanceof ForetokenError && error.details.where === "compareModels"
    ? new ConfigError({ ...error.details, where: file, cause: error })
    : error;

/** Forms one after the other: one that cannot be read leaves the others as they are. */
const verifyForms = async (
  files: readonly string[],
  model: Verified,
  comparison: Comparison,
): Promise<readonly Outcome[]> => {
  const outcomes: Outcome[] = [];
  for (const form of (await Promise.all(files.map(formsOf))).flat()) {
    const { file } = form;
    const outcome = await verifyForm(form, model, comparison).catch((error: unknown) => {
      const told = aboutFile(file, inFlags(inModelFlags(error)));
      if (told instanceof ForetokenError && !comparison.signal.aborted) return { file, error: told };
      throw error;
    });
    outcomes.push(outcome);
  }
  return outcomes;
};

const report = (
  named: string,
  { bitsPerByte, contextLength }: Pick<VerifiedForm, "bitsPerByte" | "contextLength">,
  text: Corpus | undefined,
  outcomes: readonly Outcome[],
  json: boolean,
): void => {
  if (json) {
    const inJson = (outcome: Outcome) => ("error" in outcome ? { ...outcome, error: outcome.error.message } : outcome);
    const measuredOn = text?.name ?? null;
    writeJson({ model: named, bitsPerByte, contextLength, measuredOn, forms: outcomes.map(inJson) });
  } else {
    const forms = outcomes.filter((outcome) => "largestLogit" in outcome);
    const { unicode } = styleFor(host.stdout).symbols;
    const nameOf = (name: string): string => printableName(name, unicode);
    const model = { model: named, bitsPerByte, contextLength, measuredOn: text?.name };
    if (forms.length > 0) writeOut(verifyTable(model, forms, nameOf));
  }
  const faults = outcomes.flatMap((outcome) => ("error" in outcome ? [outcome.error] : []));
  for (const error of faults) writeNotice(`foretoken: ${error.message}`);
  const isOther = outcomes.some((outcome) => "largestLogit" in outcome && outcome.textDifference !== null);
  if (faults.length > 0) host.exitCode = exitStatus.mistake;
  else if (isOther) host.exitCode = exitStatus.different;
};

const runVerify = async (named: string, files: readonly string[], flags: VerifyFlags): Promise<void> => {
  const { weights, adapter, base, baseCheck = true, maxNewTokens, json = false } = flags;
  const interrupt = onInterrupt(() => {});
  onOutputEnd(interrupt.abort);
  const line = progressLine(json);
  let lm: LanguageModel | undefined;
  try {
    const place = await weightsDirectory(named, weights);
    const parts = {
      ...(adapter === undefined ? {} : { adapter: await modelDirectory(adapter) }),
      ...(base === undefined ? {} : { base: await modelDirectory(base) }),
    };
    const text = await textToVerify(place, flags.data);
    const comparison = await comparisonOf(flags, text, line, interrupt.signal);
    lm = await comparison.open(place, parts);
    const prompts = promptsOf(lm, text?.corpus, flags.promptCount);
    const bitsPerByte = await comparison.measure(lm, named);
    const contextLength = comparison.windowOf(lm.model.config.contextLength);
    const baseOf = async (): Promise<string> => {
      const source = await openSource(place, { ...parts, baseCheck }, "loadPretrained");
      await source.close();
      return source.base.servedFrom();
    };
    const outcomes = await verifyForms(files, { lm, prompts, maxNewTokens, base: baseOf }, comparison);
    line.clear();
    report(named, { bitsPerByte, contextLength }, text?.corpus, outcomes, json);
  } catch (error) {
    line.clear();
    if (!interrupt.signal.aborted) throw inFlags(inModelFlags(error));
    host.exitCode = interrupt.status();
  } finally {
    interrupt.release();
    await lm?.close();
  }
};

/** `foretoken verify`. */
export const declareVerify = (command: Command): void => {
  addWeightsFlag(
    command
      .usage("<model> <file...> [flags]")
      .argument("<model>", modelPlaces, parsePath("<model>"))
      .argument(
        "<file...>",
        "forms of it that export or quantize wrote, or others: GGUF files, folders of hf, and of onnx or a .onnx file",
      )
      .optionsGroup("Comparison: prompts and text")
      .option(
        "--data <path>",
        "a text whose last 10% is measured, and gives the prompts: a corpus by name, a UTF-8 file, or a folder of them (default: the run's own)",
        parsePath("--data", corpusNames),
      )
      .option("--prompt-count <n>", "number of prompts, 1 to 1000", parseInteger("--prompt-count", 1, 1000), 10)
      .option("--max-new-tokens <n>", "tokens to write after each", parseInteger("--max-new-tokens", 1), 50)
      .option(
        "--context-length <n>",
        "tokens of the windows that the text is cut into (default: of a run's own text those of its training; else the model's context length, which is the most)",
        parseInteger("--context-length", 1),
      ),
  );
  addRunningFlags(command)
    .addHelpText("after", notes(examples))
    .action(async (model: string, files: readonly string[], flags: VerifyFlags) => {
      const forgotten = files.find((file) => file === "" || file.startsWith("--"));
      if (forgotten !== undefined) {
        throw new ConfigError({ where: "<file>", must: "must be a file or a folder", got: JSON.stringify(forgotten) });
      }
      await runVerify(model, files, flags);
    });
};
