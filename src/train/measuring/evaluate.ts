import { inferenceContext, withContext } from "../../autograd/context.ts";
import { readScalar } from "../../autograd/tensor.ts";
import { evaluationWindows } from "../../data/batches.ts";
import { forwardLoss } from "../../models/forward.ts";
import type { Model } from "../../models/model.ts";
import { whileOpen } from "../../pretrained/closed.ts";
import { charactersBegun } from "../../tokenizer/text-stream.ts";
import type { Tokenizer } from "../../tokenizer/tokenizer.ts";
import { yieldToHost } from "../run/yield.ts";

/** A model's cross-entropy on a text. Only the last two fields compare across tokenizers. */
export interface Evaluation {
  readonly natsPerToken: number;
  readonly natsPerCharacter: number;
  readonly bitsPerByte: number;
  /** e^natsPerToken */
  readonly perplexity: number;
  /** Tokens predicted: all but the first. */
  readonly tokens: number;
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
}

/**
 * Counts the characters and bytes of the text that predictions of `ids` (all but the first) cover. A token covers a
 * span of the text's bytes, which may begin or end within a character: a character counts at its first byte. So the
 * count of each token is enough; no text is put together, and no token is decoded by itself.
 * @throws DataError for an id that the tokenizer lacks.
 */
export const measureTokens = (ids: Int32Array, tokenizer: Tokenizer): MeasuredTokens => {
  const { vocabSize } = tokenizer;
  const counts = new Float64Array(vocabSize);
  for (let i = 1; i < ids.length; i++) {
    const id = ids[i] as number;
    // It throws.
    if (id < 0 || id >= vocabSize) tokenizer.bytes(id);
    counts[id] = (counts[id] as number) + 1;
  }
  let characters = 0;
  let bytes = 0;
  for (let id = 0; id < vocabSize; id++) {
    const count = counts[id] as number;
    if (count === 0) continue;
    const span = tokenizer.bytes(id);
    characters += count * charactersBegun(span);
    bytes += count * span.length;
  }
  return { ids, characters, bytes };
};

/** Rows per forward pass: about as many tokens as a training batch of the reference task. */
export const rowsPerBatch = (contextLength: number): number => Math.max(1, Math.floor(4096 / contextLength));

/**
 * The mean loss over every token after the first, each predicted once within non-overlapping windows of
 * contextLength: no sampling, so no noise. A batch's float32 losses are summed in double precision and the sum
 * is rounded to float32 once; the sums of all batches are added in double precision.
 * @param onProgress is called after each batch with the number of predicted tokens, and waited for.
 * @throws DOMException AbortError when `signal` aborts, ConfigError when the model is closed.
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
    nats += await whileOpen("evaluate", model, () =>
      withContext(inferenceContext(model.backend), (context) =>
        readScalar(model.backend, forwardLoss(context, model, x, y, rows, time)),
      ),
    );
    predicted += y.length;
    await onProgress?.(predicted);
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
