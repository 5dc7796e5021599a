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
 * The prompt where none is given: a line end, as before a new paragraph; where the model knows none, `otherwise`; else the text
 * of its first token that is one.
 * @param otherwise a text that fits the model, as the prompt of its run's samples.
 * @throws ConfigError for a model without a tokenizer.
 */
export const defaultPrompt = (tokenizer: Tokenizer, otherwise = ""): string => {
  for (const text of ["\n", otherwise]) if (knows(tokenizer, text)) return text;
  // A token that is part of a character, or no text, cannot be a prompt.
  for (let id = 0; id < tokenizer.vocabSize; id++) {
    const text = tokenizer.decode([id]);
    if (knows(tokenizer, text)) return text;
  }
  return otherwise;
};
