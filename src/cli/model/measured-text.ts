/** Finds the text on which commands measure models. Also chooses the load options for models of runs. */
import { ConfigError } from "../../core/errors/errors.ts";
import { loadCorpus } from "../../data/corpora.node.ts";
import { type Corpus, splitText } from "../../data/corpus.ts";
import { hasDocuments } from "../../data/documents.node.ts";
import { documentsToMeasure } from "../../evaluate/evaluate.node.ts";
import type { SplitName } from "../../evaluate/evaluate-corpus.ts";
import type { RunDescription } from "../../runs/description.ts";
import { loadRunCorpus } from "../../runs/resume/run-corpus.node.ts";
import { isValTraining } from "../../runs/run-schemas.ts";
import type { WorkerLoadOptions, WorkerModel } from "../../worker/model.node.ts";
import { formatPlural } from "../display/texts/format.ts";
import { runOfModel } from "./checkpoint-path.ts";

/** A text or documents to measure. */
export type CorpusToMeasure =
  | { readonly kind: "text"; readonly corpus: Corpus }
  | { readonly kind: "documents"; readonly corpus: Awaited<ReturnType<typeof documentsToMeasure>> };

/** Flags that choose the text to measure. */
export interface TextFlags {
  readonly data?: string;
  readonly valFraction?: number;
}

/**
 * Loads the text or documents to measure.
 * @param where the command's name, for errors.
 * @param run the model's run. The run's text or documents are used if no flag names a text.
 */
export const findCorpus = async (
  where: string,
  run: RunDescription | undefined,
  flags: TextFlags,
  split: SplitName | undefined,
): Promise<CorpusToMeasure> => {
  const { data, valFraction } = flags;
  if (data !== undefined) {
    return (await hasDocuments(data))
      ? { kind: "documents", corpus: await documentsToMeasure(data, split, valFraction) }
      : { kind: "text", corpus: await loadCorpus(data, { valFraction }) };
  }
  if (run === undefined) {
    throw new ConfigError({
      where,
      must: "a model that is not in a run's folder needs a text",
      got: "no --data",
      hint: "--data FILE",
    });
  }
  const found = await loadRunCorpus(run.data);
  if (valFraction === undefined) return found;
  if (run.data.valData !== null) {
    throw new ConfigError({
      where: "--val-fraction",
      must: "cannot be used alone for a run with --val-data",
      got: String(valFraction),
      hint: "adding --data",
    });
  }
  if (found.kind === "text") {
    const { corpus } = found;
    return { kind: "text", corpus: { ...corpus, ...splitText(corpus.train + corpus.val, valFraction) } };
  }
  throw new ConfigError({
    where: "--val-fraction",
    must: "needs --data for a run on documents",
    got: String(valFraction),
    hint: "adding --data",
  });
};

/**
 * Describes the windows of a measurement. Longer windows give lower losses, so losses can be compared only if the
 * windows have the same length.
 */
export const windowsInWords = (kind: CorpusToMeasure["kind"], tokens: number): string =>
  `, in ${kind === "text" ? "windows of" : "pieces of at most"} ${formatPlural(tokens, "token")}`;

const partInWords: Readonly<Record<SplitName, string>> = {
  val: "the part that was held out",
  train: "the training part",
  all: "the whole text",
};

/** The part of a text or of documents to measure. */
export interface MeasuredPart {
  readonly part: SplitName;
  /**
   * Default part of documents. If a flag names the documents, all documents are measured. If they are from the run, the
   * validation split is measured.
   */
  readonly whole: "val" | "all";
  /** Description for a line of a table. */
  readonly inWords: string;
  /** Notice for users who may have wanted the whole text: only the end of the named text was measured. */
  readonly notice: string | undefined;
}

/** The part of a run's text to measure. A run may have a validation text of its own. */
const partOfRun = (part: SplitName, run: RunDescription | undefined): string => {
  if (part !== "val" || run === undefined || run.data.valData === null) return partInWords[part];
  return isValTraining(run.data) ? "the validation text, which is the training text itself" : "the validation text";
};

/**
 * @param name name of the text.
 * @param run the run whose text is measured. Undefined: a flag names the text.
 */
export const measuredPart = (
  kind: CorpusToMeasure["kind"],
  name: string,
  { data, valFraction, split }: TextFlags & { readonly split?: SplitName },
  run: RunDescription | undefined,
): MeasuredPart => {
  const lastShare = `last ${+(100 * (valFraction ?? 0.1)).toFixed(2)}%`;
  const isOnlyEnd = data !== undefined && kind === "text" && (split ?? "val") === "val";
  const whole = data === undefined ? "val" : "all";
  const part = split ?? (kind === "text" ? "val" : whole);
  return {
    ...{ part, whole },
    inWords: `${name}, ${isOnlyEnd ? `its ${lastShare}` : partOfRun(part, run)}`,
    notice: isOnlyEnd
      ? `${name}: only its ${lastShare} was measured; to measure the whole text: --split all`
      : undefined,
  };
};

/**
 * Load options that reproduce a run's losses to the bit, if the windows are the same as in training. The model gets the
 * run's dtype and computes as in training. Adapters are not merged into the frozen weights, and blocks of 4 to 8 bits
 * are not converted.
 */
export const asInRun = async (path: string, options: WorkerLoadOptions): Promise<WorkerLoadOptions> => {
  const run = await runOfModel(path);
  if (run === undefined) return options;
  const { lora, train } = run.config;
  const dtype = options.dtype === "auto" ? train.dtype : options.dtype;
  const keepBlocks = lora !== undefined && run.data.initFrom?.blocks === true && options.keepBlocks !== false;
  return { ...options, dtype, asInTraining: lora === undefined || dtype === "float32", keepBlocks };
};

type Reader = Pick<WorkerModel, "tokenizer" | "chatTemplate" | "endTokens">;

/**
 * Chooses how `other` encodes documents. If `other` and `lm` have the same tokenizer, both models use the chat template
 * of `lm`. So both models get the same tokens.
 */
export const readerLike = (lm: Reader, other: Reader): Reader => {
  const isSame = lm === other || JSON.stringify(lm.tokenizer.toJSON()) === JSON.stringify(other.tokenizer.toJSON());
  return isSame ? lm : other;
};
