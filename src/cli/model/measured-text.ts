/** The text that commands measure models on, and how they load runs for it. */
import { ConfigError } from "../../core/errors/errors.ts";
import { loadCorpus } from "../../data/corpora.node.ts";
import { type Corpus, splitText } from "../../data/corpus.ts";
import { hasDocuments } from "../../data/documents.node.ts";
import { documentsToMeasure } from "../../evaluate/evaluate.node.ts";
import type { SplitName } from "../../evaluate/evaluate-corpus.ts";
import type { RunDescription } from "../../runs/description.ts";
import { loadRunCorpus } from "../../runs/resume/run-corpus.node.ts";
import type { WorkerLoadOptions, WorkerModel } from "../../worker/model.node.ts";
import { formatPlural } from "../display/texts/format.ts";
import { runOfModel } from "./checkpoint-path.ts";

/** A text, or documents, to measure on. */
export type CorpusToMeasure =
  | { readonly kind: "text"; readonly corpus: Corpus }
  | { readonly kind: "documents"; readonly corpus: Awaited<ReturnType<typeof documentsToMeasure>> };

/** Flags that name a text to measure on. */
export interface TextFlags {
  readonly data?: string;
  readonly valFraction?: number;
}

/**
 * @param where the command, for errors.
 * @param run the checkpoint's: its text or its documents serve where the flags name none.
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

/** Tokens that are read at once, in words: losses in longer windows are lower, so figures compare in the same ones alone. */
export const windowsInWords = (kind: CorpusToMeasure["kind"], tokens: number): string =>
  `, in ${kind === "text" ? "windows of" : "pieces of at most"} ${formatPlural(tokens, "token")}`;

const partInWords: Readonly<Record<SplitName, string>> = {
  val: "the part that was held out",
  train: "the training part",
  all: "all of it",
};

/** The part of a text, or of documents, that flags ask for. */
export interface MeasuredPart {
  readonly part: SplitName;
  /** The part of documents, where no flag names one: those that are named are all measured, a run's where they were held out. */
  readonly whole: "val" | "all";
  /** As in a line of a table. */
  readonly inWords: string;
  /** Of another text only its end is measured, though it is mostly meant as a whole. */
  readonly notice: string | undefined;
}

/** @param name the text's. */
export const measuredPart = (
  kind: CorpusToMeasure["kind"],
  name: string,
  { data, valFraction, split }: TextFlags & { readonly split?: SplitName },
): MeasuredPart => {
  const lastShare = `last ${+(100 * (valFraction ?? 0.1)).toFixed(2)}%`;
  const isOnlyEnd = data !== undefined && kind === "text" && (split ?? "val") === "val";
  const whole = data === undefined ? "val" : "all";
  const part = split ?? (kind === "text" ? "val" : whole);
  return {
    ...{ part, whole },
    inWords: `${name}, ${isOnlyEnd ? `its ${lastShare}` : partInWords[part]}`,
    notice: isOnlyEnd
      ? `${name}: only its ${lastShare} was measured; to measure the whole text: --split all`
      : undefined,
  };
};

/**
 * How a run's weights are loaded so that its losses come out again to the bit, in the windows of its training: in the run's
 * dtype, and as in training (adapters train beside frozen weights, or beside ones in blocks of 4 to 8 bits).
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

/** How `other` reads documents: if it has the tokens of `lm`, with the chat template of `lm`, so that both read the same. */
export const readerLike = (lm: Reader, other: Reader): Reader => {
  const isSame = lm === other || JSON.stringify(lm.tokenizer.toJSON()) === JSON.stringify(other.tokenizer.toJSON());
  return isSame ? lm : other;
};
