import { ForetokenError } from "../core/errors/errors.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";

const knows = (tokenizer: Tokenizer, text: string): boolean => {
  try {
    return tokenizer.encode(text).length > 0;
  } catch (error) {
    if (error instanceof ForetokenError) return false;
    throw error;
  }
};

/**
 * The default prompt: a line end, as before a new paragraph. If the tokenizer has no line end, the prompt is
 * `otherwise`. If the tokenizer cannot encode `otherwise`, the prompt is the text of the first token that can be a
 * prompt.
 * @param otherwise a text that fits the model, for example the prompt of the samples in the model's run.
 * @throws ConfigError for a model without a tokenizer.
 */
export const defaultPrompt = (tokenizer: Tokenizer, otherwise = ""): string => {
  for (const text of ["\n", otherwise]) if (knows(tokenizer, text)) return text;
  // A token cannot be a prompt if it has no text or is only a part of a character.
  for (let id = 0; id < tokenizer.vocabSize; id++) {
    const text = tokenizer.decode([id]);
    if (knows(tokenizer, text)) return text;
  }
  return otherwise;
};
