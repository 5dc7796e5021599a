import { inferenceContext, withContext } from "../autograd/context.ts";
import { readScalar } from "../autograd/tensor.ts";
import { evaluationWindows } from "../data/batches.ts";
import { countCharacters } from "../data/corpus.ts";
import { forwardLoss } from "../models/forward.ts";
import type { Model } from "../models/model.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import { yieldToHost } from "./yield.ts";

/** A model's cross-entropy on a text. Only the last two compare across tokenizers. */
export interface Evaluation {
  readonly natsPerToken: number;
  readonly natsPerCharacter: number;
  readonly bitsPerByte: number;
  /** e^natsPerToken */
  readonly perplexity: number;
  /** Tokens predicted: all but the first. */
  readonly tokens: number;
}

/** Tokens of a split, with what they stand for in text; measured once per run. */
export interface MeasuredTokens {
  readonly ids: Int32Array;
  /** Characters (code points) in the predicted tokens. */
  readonly characters: number;
  /** UTF-8 bytes in the predicted tokens. */
  readonly bytes: number;
}

/** Counts the characters and bytes that predictions of `ids` (all but the first) stand for. */
export const measureTokens = (ids: Int32Array, tokenizer: Tokenizer): MeasuredTokens => {
  const text = tokenizer.decode(ids.subarray(1));
  return { ids, characters: countCharacters(text), bytes: new TextEncoder().encode(text).length };
};

/** Rows per forward pass: about as many tokens as a training batch of the reference task. */
export const rowsPerBatch = (contextLength: number): number => Math.max(1, Math.floor(4096 / contextLength));

/**
 * The mean loss over every token after the first, each predicted once within non-overlapping windows of
 * contextLength: no sampling, so no noise. Sums in double precision.
 * @param onProgress is told after each batch how many tokens have been predicted.
 * @throws DOMException AbortError when `signal` aborts.
 */
export const evaluate = async (
  model: Model,
  { ids, characters, bytes }: MeasuredTokens,
  signal?: AbortSignal,
  onProgress?: (tokens: number) => void,
): Promise<Evaluation> => {
  const { contextLength } = model.config;
  let nats = 0;
  let predicted = 0;
  for (const { x, y, rows, time } of evaluationWindows(ids, {
    contextLength,
    batchSize: rowsPerBatch(contextLength),
  })) {
    signal?.throwIfAborted();
    nats += await withContext(inferenceContext(model.backend), (context) =>
      readScalar(model.backend, forwardLoss(context, model, x, y, rows, time)),
    );
    predicted += y.length;
    onProgress?.(predicted);
    await yieldToHost();
  }
  const tokens = ids.length - 1;
  const natsPerToken = nats / tokens;
  return {
    natsPerToken,
    natsPerCharacter: nats / characters,
    bitsPerByte: nats / Math.LN2 / bytes,
    perplexity: Math.exp(natsPerToken),
    tokens,
  };
};
