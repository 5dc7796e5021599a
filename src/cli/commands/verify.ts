import type { Command } from "commander";
import { ConfigError, ForetokenError } from "../../core/errors/errors.ts";
import { corpusNames } from "../../data/corpora.node.ts";
import type { Corpus } from "../../data/corpus.ts";
import { compareForms, compareModels } from "../../evaluate/compare-models.ts";
import { evaluateCorpus } from "../../evaluate/evaluate-corpus.ts";
import { evaluateForm } from "../../evaluate/evaluate-form.ts";
import { isAdapterPlace } from "../../pretrained/adapter/place.node.ts";
import { openSource } from "../../pretrained/export/source.node.ts";
import { type LoadOptions, loadPretrained } from "../../pretrained/load.node.ts";
import type { LanguageModel } from "../../pretrained/model/language-model.ts";
import { graphsOf, type OpenedOnnx, openOnnx } from "../../pretrained/onnx/run/open.node.ts";
import { formatBytes, formatCount } from "../display/texts/format.ts";
import { type VerifiedForm, verifyTable } from "../display/texts/verify-table.ts";
import { chooseBackend } from "../flags/backend-choice.ts";
import { addRunningFlags, parseInteger, parsePath, type RunningFlags } from "../flags/flags.ts";
import { inFlags, unknownHint } from "../flags/option-names.ts";
import { addWeightsFlag, type WeightsFlag } from "../flags/weights-flag.ts";
import { notes } from "../help.ts";
import {
  adapterDirectory,
  checkBaseCheck,
  inModelFlags,
  modelDirectory,
  modelPlaces,
  weightsDirectory,
} from "../model/checkpoint-path.ts";
import { promptsOf, type TextToVerify, textToVerify } from "../model/verify-prompts.ts";
import { exitStatus } from "../process/exit-status.ts";
import { host } from "../process/host.ts";
import { endStopped, onInterrupt } from "../process/interrupt.ts";
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
  $ npx foretoken verify runs/letters runs/letters-adapter-f32.gguf runs/letters-f32.gguf   a LoRA adapter alone, and merged

Foretoken's own reader reads every file and converts the file's weights to float32. An ONNX graph is computed node by node. A graph with an
operator that export does not write is refused, and the error names the operator. MODEL continues each prompt with its most probable tokens;
then MODEL and the file compute the logits of these tokens. Where the file chooses another token than MODEL,
the table shows the margin: the difference between MODEL's two largest logits. If the margin is small, both tokens are nearly equally likely. Prompts come from the measured text: the last
10% of --data, or the validation split of a run. Without a text, prompts are random tokens. Tokenizers are compared too: their tokens, their merges,
the ids of the prompts, and the ids that end a text. Chat templates are also compared. If tokenizers or chat templates differ, a line below the table shows the first difference, and the exit
status is 1. For a file that cannot be read, one line says why, and the exit status is 2.`;

/** A measured file, or the reason why it could not be measured. */
type Outcome = VerifiedForm | { readonly file: string; readonly error: ForetokenError };

/** Settings and functions shared by the comparisons of all files. */
interface Comparison {
  readonly signal: AbortSignal;
  readonly line: ProgressLine;
  /** Loads a model; the caller closes it. */
  readonly open: (place: string, options: LoadOptions) => Promise<LanguageModel>;
  /** Tokens per window for a model with this context length. */
  readonly windowOf: (context: number) => number;
  /** Bits per byte of the text; null if there is no text. */
  readonly measure: (lm: LanguageModel, name: string) => Promise<number | null>;
  /** Opens an ONNX graph; the caller closes it. */
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
        // Products in another type would hide a part of the difference between the file and the model.
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

/** The model that the files are compared with. */
interface Verified {
  readonly lm: LanguageModel;
  readonly prompts: readonly (string | readonly number[])[];
  readonly maxNewTokens: number;
  /** Path of the base model without its adapter. Files that contain only an adapter are applied to this model. */
  readonly base: () => Promise<string>;
}

/** A file as the user named it, and the path of its ONNX graph, or null if the file has no ONNX graph. */
interface NamedForm {
  readonly file: string;
  readonly graph: string | null;
}

/** Splits a folder with several ONNX graphs into one entry per graph. */
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

/** Adds the name of the file to an error of `compareModels`. */
const aboutFile = (file: string, error: unknown): unknown =>
  error instanceof ForetokenError && error.details.where === "compareModels"
    ? new ConfigError({ ...error.details, where: file, cause: error })
    : error;

/** Compares the files one after the other. An error in one file does not stop the other comparisons. */
const verifyForms = async (
  files: readonly string[],
  model: Verified,
  comparison: Comparison,
): Promise<readonly Outcome[]> => {
  const outcomes: Outcome[] = [];
  for (const form of (await Promise.all(files.map(formsOf))).flat()) {
    const { file } = form;
    const outcome = await verifyForm(form, model, comparison).catch((error: unknown) => {
      const told = aboutFile(file, inFlags(inModelFlags(error), [unknownHint]));
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
  const tell = (notice: string): void => {
    line.clear();
    writeNotice(notice);
  };
  let lm: LanguageModel | undefined;
  try {
    await checkBaseCheck(named, flags);
    const place = await weightsDirectory(named, weights, tell);
    const parts = {
      ...(adapter === undefined ? {} : { adapter: await adapterDirectory(adapter, tell) }),
      ...(base === undefined ? {} : { base: await modelDirectory(base) }),
    };
    const text = await textToVerify(place, flags.data);
    const comparison = await comparisonOf(flags, text, line, interrupt.signal);
    lm = await comparison.open(place, parts);
    // First, because the measurement's error for an unknown character names the line of the file.
    const bitsPerByte = await comparison.measure(lm, named);
    const prompts = promptsOf(lm, text?.corpus, flags.promptCount);
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
    if (!interrupt.signal.aborted) throw inFlags(inModelFlags(error), [unknownHint]);
    endStopped(interrupt, "the comparison is not complete");
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
        "files to compare with the model: GGUF files, .onnx files, or folders of format hf or onnx; from export, quantize or another program",
      )
      .optionsGroup("Comparison: prompts and text")
      .option(
        "--data <path>",
        "a text; its last 10% is measured and gives the prompts: the name of a corpus, a UTF-8 file, or a folder of UTF-8 files (default: the run's text)",
        parsePath("--data", corpusNames),
      )
      .option("--prompt-count <n>", "number of prompts, 1 to 1000", parseInteger("--prompt-count", 1, 1000), 10)
      .option(
        "--max-new-tokens <n>",
        "number of tokens to write after each prompt",
        parseInteger("--max-new-tokens", 1),
        50,
      )
      .option(
        "--context-length <n>",
        "number of tokens in each window of the text, at most the model's context length (default: the context length; for a run's own text, the window length in training)",
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
