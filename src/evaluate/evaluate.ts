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
  /** Sum of the losses of the window's predictions, in nats. */
  readonly nats: number;
  /** Tokens predicted. */
  readonly tokens: number;
}

/** A model's cross-entropy on a text. Only `natsPerCharacter` and `bitsPerByte` are comparable across tokenizers. */
export interface Evaluation {
  /** The loss: nats per token. */
  readonly natsPerToken: number;
  /** Nats per character (code point). Comparable across tokenizers. */
  readonly natsPerCharacter: number;
  /** Bits per byte of UTF-8. Comparable across tokenizers. */
  readonly bitsPerByte: number;
  /** e^natsPerToken */
  readonly perplexity: number;
  /**
   * Number of predicted tokens: all tokens except the first. If the tokenizer adds a token at the beginning of texts,
   * all tokens are predicted. For documents, it is the number of tokens that the loss counts.
   */
  readonly tokens: number;
  /**
   * The characters that were skipped because the tokenizer lacks them. Present only with `unknown: "skip"`, and only if
   * characters were skipped. All numbers of this result count only the remaining text. So compare them only with
   * numbers for the same text.
   */
  readonly skipped?: SkippedText;
  /** Loss of each window, in the order of the text. Present only with the option `windows`. */
  readonly windows?: readonly WindowLoss[];
}

/** Tokens of a split, and the size of their text. Computed once per run. */
export interface MeasuredTokens {
  readonly ids: Int32Array;
  /**
   * Number of characters (code points) of the predicted tokens. A character counts if one of the tokens contains its
   * first byte.
   */
  readonly characters: number;
  /** Number of UTF-8 bytes of the predicted tokens. */
  readonly bytes: number;
  /** The documents of the tokens. Absent if the tokens are one text. */
  readonly documents?: Documents | undefined;
  /** The first token of each window of a text. It is not a target. Absent if windows have no such token. */
  readonly begin?: number | undefined;
}

/** Number of tokens that an evaluation predicts and counts. */
export const predictedTokens = ({
  ids,
  documents,
  begin,
}: Pick<MeasuredTokens, "ids" | "documents" | "begin">): number =>
  documents === undefined ? ids.length - (begin === undefined ? 1 : 0) : countedTokens(documents);

/**
 * Counts the characters and bytes of the predicted tokens of `ids`. These are all tokens except the first, or all
 * tokens if texts begin with a special token. The bytes of a token may begin or end inside a character. A character
 * counts in the token with its first byte. So the function only counts how often each token occurs, and decodes no
 * text.
 * @throws DataError for an id that the tokenizer lacks.
 */
export const measureTokens = (ids: Int32Array, tokenizer: Tokenizer): MeasuredTokens => {
  const counts = new Float64Array(tokenizer.vocabSize);
  const begin = beginOf(tokenizer);
  for (let i = begin === undefined ? 1 : 0; i < ids.length; i++) count(counts, ids[i] as number, tokenizer);
  return { ids, ...sizeOfText(counts, tokenizer), begin };
};

/** Like `measureTokens`, for documents. The result counts only the text of tokens in the loss. */
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

/** Characters and bytes of all tokens, from the number of occurrences of each token. */
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

/**
 * Number of rows per forward pass. The number of tokens in a pass is about the same as in a training batch of the
 * reference task.
 */
export const rowsPerBatch = (contextLength: number): number => Math.max(1, Math.floor(4096 / contextLength));

/** How an evaluation divides its tokens. */
export interface EvaluationPlan {
  /** Number of tokens of a window. Default: the model's context length. */
  readonly contextLength?: number | undefined;
  /**
   * Whether the result contains the loss of each window. Each window is then a separate pass. For documents, a window
   * is a document, or a piece of a long document. Default false.
   */
  readonly windows?: boolean | undefined;
}

/**
 * The passes of an evaluation, in the order in which their losses are added. A pass is created only when it is needed.
 */
export const evaluationPasses = (
  { ids, documents, begin }: MeasuredTokens,
  { contextLength, windows }: { readonly contextLength: number; readonly windows: boolean },
): Iterable<MakeBatch> => {
  const batchSize = windows ? 1 : rowsPerBatch(contextLength);
  if (documents === undefined) return windowsToMake(ids, { contextLength, batchSize }, begin);
  // With a limit of one token, each piece is a separate pass.
  const tokens = windows ? 1 : batchSize * contextLength;
  return piecesToMake(documents, piecesOf(documents, contextLength), tokens);
};

/** The loss of a pass in nats: a sum over the counted targets. @throws ConfigError if the model is closed. */
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

/** Number of tokens of a batch that the loss counts. */
const countedOf = ({ y, segments }: Batch): number =>
  segments === undefined ? y.length : y.reduce((sum, id) => sum + (id < 0 ? 0 : 1), 0);

/**
 * Like `evaluate`, with any function for the loss of a pass.
 * @param lossOf returns the loss of a pass in nats: a sum over the counted targets.
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
 * Computes the mean loss over every token after the first. Each token is predicted once, in windows of `contextLength`
 * tokens that do not overlap. If the tokenizer adds a token at the beginning of texts, each window begins with this
 * token. The first token of the text then also counts. For documents, the result is the mean over the counted tokens.
 * Each document is evaluated alone, and documents longer than `contextLength` are cut. Nothing is sampled, so the
 * result has no noise.
 *
 * Numerics: the float32 losses of a batch are summed in double precision. This sum is rounded to float32 once. The sums
 * of all batches are added in double precision.
 * @param onProgress called after each batch with the number of predicted tokens, and awaited.
 * @throws DOMException AbortError when `signal` aborts; ConfigError when the model is closed.
 */
export const evaluate = (
  model: Model,
  measured: MeasuredTokens,
  signal?: AbortSignal,
  onProgress?: (tokens: number) => void,
  { contextLength = model.config.contextLength, windows = false }: EvaluationPlan = {},
): Promise<Evaluation> =>
  evaluateBy((batch) => lossOfPass(model, batch), measured, signal, onProgress, { contextLength, windows });
