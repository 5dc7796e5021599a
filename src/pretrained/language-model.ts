import { inferenceContext, withContext } from "../autograd/context.ts";
import { readTensor } from "../autograd/tensor.ts";
import { checkFunction, checkIdList, checkModel, checkTokenizer } from "../core/check-arguments.ts";
import { forward } from "../models/forward.ts";
import type { Model } from "../models/model.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import { markClosed, whileOpen } from "./closed.ts";

/** Logits of every position: `data[t · V + v]`, the unnormalised log-probability of token v after position t. */
export interface Logits {
  readonly data: Float32Array;
  /** [T, V] */
  readonly shape: readonly [time: number, vocabSize: number];
}

/** A model with its tokenizer: text in, text out. */
export interface LanguageModel {
  readonly model: Model;
  readonly tokenizer: Tokenizer;
  /**
   * One forward pass over `ids` [T], T from 1 to the context length. Position t sees ids[0..t] only.
   * @throws ShapeError for an id that is no whole number or outside the vocabulary, or too many of them; ConfigError
   *   after `close`.
   */
  logits(ids: ArrayLike<number>): Promise<Logits>;
  /**
   * Frees the model, and its backend if `loadPretrained` opened it. Work on it that is under way fails. A second call does
   * nothing.
   */
  close(): Promise<void>;
}

/** Combines a model and its tokenizer; `onClose` runs once, after the weights are freed. */
export const languageModel = (
  model: Model,
  tokenizer: Tokenizer,
  onClose: () => Promise<void> = async () => {},
): LanguageModel => {
  checkModel("languageModel: model", model);
  checkTokenizer("languageModel: tokenizer", tokenizer);
  checkFunction("languageModel: onClose", onClose);
  let closing: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    markClosed(model);
    try {
      // A backend that was closed before has freed the weights, and would refuse to free them again.
      if (model.backend.bytesInUse() > 0) model.close();
    } finally {
      await onClose();
    }
  };
  return {
    model,
    tokenizer,
    logits: (ids) =>
      whileOpen("logits", model, () =>
        withContext(inferenceContext(model.backend), async (context) => {
          checkIdList("logits: ids", ids);
          const data = await readTensor(model.backend, forward(context, model, ids, 1, ids.length));
          return { data: Float32Array.from(data), shape: [ids.length, model.vocabSize] as const };
        }),
      ),
    close: () => {
      closing ??= close();
      return closing;
    },
  };
};
