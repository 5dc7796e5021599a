/**
 * Draft model: a smaller model with the same tokenizer guesses the next tokens. The draft model writes the guesses for
 * all texts of an engine in shared forward passes.
 */

import { ConfigError } from "../../core/errors/errors.ts";
import { createSequenceEngine } from "../../engine/engine.ts";
import type { Draft } from "../../engine/sequence.ts";
import { isClosed } from "../../pretrained/model/closed.ts";
import type { LanguageModel } from "../../pretrained/model/language-model.ts";

/** Guesses tokens with a smaller model. */
export interface DraftModel {
  /**
   * Guesses for one text.
   * @param ahead returns a function that chooses the next tokens from the logits of the small model, in the same way as
   * the text itself.
   */
  draft(ahead: () => (logits: Float32Array) => number): Draft;
  close(): Promise<void>;
}

/**
 * @param sizes sizes of the small model's KV cache and batches. These sizes are equal to the sizes of the engine that
 * uses the guesses.
 */
export const createDraftModel = (
  lm: LanguageModel,
  sizes: { readonly cacheBytes: number; readonly maxSequences: number },
): DraftModel => {
  const { model, tokenizer } = lm;
  const engine = createSequenceEngine(lm.adapted(null), sizes);
  return {
    draft: (ahead) => async (ids, most) => {
      if (isClosed(model)) {
        const must = "the draft model must stay open while texts are written";
        throw new ConfigError({ where: "generate: speculate", must, got: "a closed model" });
      }
      // Beyond its context, the small model would compute the whole window again for each token.
      const count = Math.min(most, model.config.contextLength - ids.length);
      if (count < 1) return [];
      const choose = ahead();
      const guesses: number[] = [];
      await engine.write({
        model,
        prompt: ids,
        maxNewTokens: count,
        choose(logits) {
          const id = choose(logits.subarray(0, tokenizer.vocabSize));
          guesses.push(id);
          return id;
        },
      }).ended;
      return guesses;
    },
    close: engine.close,
  };
};
