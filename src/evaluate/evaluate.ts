import { inferenceContext, withContext } from "../autograd/context.ts";
import { readScalar } from "../autograd/tensor.ts";
import { yieldToHost } from "../core/system/yield.ts";
import { type Batch, type MakeBatch, windowsToMake } from "../data/batches.ts";
import { countedTokens, type Documents } from "../data/documents.ts";
import { piecesOf, piecesToMake } from "../data/rows.ts";
import { forwardLoss, segmentsLoss } from "../models/forward.ts";
import type { Model } from "../models/model.ts";
import { whileOpen } from "../pretrained/model/closed.ts";
import { beginOf } from "../tokenizer/begin.ts";
import { charactersBegun } from "../tokenizer/text-stream.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import type { SkippedText } from "../tokenizer/unknown.ts";

/** The loss of a window of a text. */
export interface WindowLoss {
  /** Sum over its predictions, in nats. */
  readonly nats: number;
  /** Tokens predicted. */
  readonly tokens: number;
}

/** A model's cross-entropy on a text. Only the last two fields compare across tokenizers. */
export interface Evaluation {
  /** The loss: nats per token. */
  readonly natsPerToken: number;
  /** Nats per character (code point): it compares across tokenizers. */
  readonly natsPerCharacter: number;
  /** Bits per byte of UTF-8: it compares across tokenizers. */
  readonly bitsPerByte: number;
  /** e^natsPerToken */
  readonly perplexity: number;
  /**
   * Tokens predicted: all but the first, or all where the tokenizer has a token that texts begin with; of documents those that
   * the loss counts.
   */
  readonly tokens: number;
  /**
   * What was left out of the text, with `unknown: "skip"` and only if there was any: characters that the tokenizer
   * lacks. The figures above count the rest of the text alone, so they compare only with figures of the same rest.
   */
  readonly skipped?: SkippedText;
  /** Each window's part of the loss, in the text's order; only where `windows` was set. */
  readonly windows?: readonly WindowLoss[];
}

/** Tokens of a split, with the size of their text; measured once per run. */
export interface MeasuredTokens {
  readonly ids: Int32Array;
  /**
   * Characters (code points) of the text that the predicted tokens cover: a character counts if its first byte is in
   * one.
   */
  readonly characters: number;
  /** UTF-8 bytes of the text that the predicted tokens cover. */
  readonly bytes: number;
  /** The documents that the tokens are; absent: they are one text. */
  readonly documents?: Documents | undefined;
  /** A token that each window of a text begins with, and that is no target; absent: none. */
  readonly begin?: number | undefined;
}

/** Tokens that an evaluation predicts and counts. */
export const predictedTokens = ({
  ids,
  documents,
  begin,
}: Pick<MeasuredTokens, "ids" | "documents" | "begin">): number =>
  documents === undefined ? ids.length - (begin === undefined ? 1 : 0) : countedTokens(documents);

/**
 * Counts the characters and bytes of the text that predictions of `ids` (all but the first, or all after a token that texts begin
 * with) cover. A token covers a
 * span of the text's bytes, which may begin or end within a character: a character counts at its first byte. So the
 * count of each token is enough; no text is put together, and no token is decoded by itself.
 * @throws DataError for an id that the tokenizer lacks.
 */
export const measureTokens = (ids: Int32Array, tokenizer: Tokenizer): MeasuredTokens => {
  const counts = new Float64Array(tokenizer.vocabSize);
  const begin = beginOf(tokenizer);
  for (let i = begin === undefined ? 1 : 0; i < ids.length; i++) count(counts, ids[i] as number, tokenizer);
  return { ids, ...sizeOfText(counts, tokenizer), begin };
};

/** `measureTokens` of documents: the text of the tokens that the loss counts. */
export const measureDocuments = (documents: Documents, tokenizer: Tokenizer): MeasuredTokens => {
  const { ids, counted } = documents;
  const counts = new Float64Array(tokenizer.vocabSize);
  for (const [i, id] of ids.entries()) if (counted[i] === 1) count(counts, id, tokenizer);
  return { ids, ...sizeOfText(counts, tokenizer), documents };
};

const count = (counts: Float64Array, id: number, tokenizer: Tokenizer): void => {
  // It throws.
  if (id < 0 || id >= counts.length) tokenizer.bytes(id);
  counts[id] = (counts[id] as number) + 1;
};

/** Characters and bytes of tokens that come so often. */
const sizeOfText = (counts: Float64Array, tokenizer: Tokenizer): Pick<MeasuredTokens, "characters" | "bytes"> => {
  let characters = 0;
  let bytes = 0;
  for (let id = 0; id < counts.length; id++) {
    const times = counts[id] as number;
    if (times === 0) continue;
    const span = tokenizer.bytes(id);
    characters += times * charactersBegun(span);
    bytes += times * span.length;
  }
  return { characters, bytes };
};

/** Rows per forward pass: about as many tokens as a training batch of the reference task. */
export const rowsPerBatch = (contextLength: number): number => Math.max(1, Math.floor(4096 / contextLength));

/** How an evaluation goes through its tokens. */
export interface EvaluationPlan {
  /** Tokens of a window. Default: the model's context length. */
  readonly contextLength?: number | undefined;
  /**
   * Whether the result has the loss of each window, which is then a pass of its own; of documents each document, or each
   * piece of a long one. Default false.
   */
  readonly windows?: boolean | undefined;
}

/** The passes of an evaluation, in the order in which their losses are added; each is made when it is its turn. */
export const evaluationPasses = (
  { ids, documents, begin }: MeasuredTokens,
  { contextLength, windows }: { readonly contextLength: number; readonly windows: boolean },
): Iterable<MakeBatch> => {
  const batchSize = windows ? 1 : rowsPerBatch(contextLength);
  if (documents === undefined) return windowsToMake(ids, { contextLength, batchSize }, begin);
  // No two pieces fit into one token.
  const tokens = windows ? 1 : batchSize * contextLength;
  return piecesToMake(documents, piecesOf(documents, contextLength), tokens);
};

/** The loss of a pass: nats, summed over the targets that count. @throws ConfigError when the model is closed. */
export const lossOfPass = (model: Model, { x, y, rows, time, segments }: Batch): Promise<number> =>
  whileOpen("evaluate", model, () =>
    withContext(inferenceContext(model.backend), (context) =>
      readScalar(
        model.backend,
        segments === undefined
          ? forwardLoss(context, model, x, y, rows, time)
          : segmentsLoss(context, model, x, y, segments),
      ),
    ),
  );

/** @param nats the sum of all passes' losses. */
export const evaluationOf = (measured: MeasuredTokens, nats: number): Evaluation => {
  const tokens = predictedTokens(measured);
  const natsPerToken = nats / tokens;
  return {
    natsPerToken,
    natsPerCharacter: nats / measured.characters,
    bitsPerByte: nats / Math.LN2 / measured.bytes,
    perplexity: Math.exp(natsPerToken),
    tokens,
  };
};

/** Tokens of a batch that its loss counts. */
const countedOf = ({ y, segments }: Batch): number =>
  segments === undefined ? y.length : y.reduce((sum, id) => sum + (id < 0 ? 0 : 1), 0);

/**
 * `evaluate` by any way to the loss of a pass.
 * @param lossOf the loss of a pass: nats, summed over the targets that count.
 */
export const evaluateBy = async (
  lossOf: (batch: Batch) => Promise<number>,
  measured: MeasuredTokens,
  signal: AbortSignal | undefined,
  onProgress: ((tokens: number) => void) | undefined,
  { contextLength, windows = false }: EvaluationPlan & { readonly contextLength: number },
): Promise<Evaluation> => {
  let nats = 0;
  let predicted = 0;
  const losses: WindowLoss[] = [];
  for (const make of evaluationPasses(measured, { contextLength, windows })) {
    signal?.throwIfAborted();
    const batch = make();
    const summed = await lossOf(batch);
    const tokens = countedOf(batch);
    nats += summed;
    predicted += tokens;
    if (windows) losses.push({ nats: summed, tokens });
    await onProgress?.(predicted);
    await yieldToHost();
  }
  return { ...evaluationOf(measured, nats), ...(windows ? { windows: losses } : {}) };
};

/**
 * The mean loss over every token after the first, each predicted once within non-overlapping windows of
 * `contextLength`, by default the model's. If the tokenizer has a token that texts begin with, each window begins with it, and the
 * first token counts, too. Of documents: over the tokens that count, each document by itself, those longer
 * than `contextLength` cut. There is no sampling, so no noise. A batch's float32 losses are summed in double precision and the sum
 * is rounded to float32 once; the sums of all batches are added in double precision.
 * @param onProgress is called after each batch with the number of predicted tokens, and waited for.
 * @throws DOMException AbortError when `signal` aborts, ConfigError when the model is closed.
 */
export const evaluate = (
  model: Model,
  measured: MeasuredTokens,
  signal?: AbortSignal,
  onProgress?: (tokens: number) => void,
  { contextLength = model.config.contextLength, windows = false }: EvaluationPlan = {},
): Promise<Evaluation> =>
  evaluateBy((batch) => lossOfPass(model, batch), measured, signal, onProgress, { contextLength, windows });
