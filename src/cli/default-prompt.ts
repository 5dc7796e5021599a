import { ForetokenError } from "../core/errors.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import { runOf } from "./checkpoint-path.ts";

const knows = (tokenizer: Tokenizer, text: string): boolean => {
  try {
    return tokenizer.encode(text).length > 0;
  } catch (error) {
    if (error instanceof ForetokenError) return false;
    throw error;
  }
};

/** What the run of the checkpoint `directory` lets its samples continue; nothing where it cannot be told. */
const promptOfRun = async (directory: string): Promise<string> => {
  try {
    return (await runOf(directory))?.data.prompt ?? "";
  } catch (error) {
    // A damaged description is none of generation's business.
    if (error instanceof ForetokenError) return "";
    throw error;
  }
};

/** What to continue where the user does not say: a line end; else what the run's samples continue; else the first token. */
export const defaultPrompt = async (tokenizer: Tokenizer, directory: string): Promise<string> => {
  if (knows(tokenizer, "\n")) return "\n";
  const prompt = await promptOfRun(directory);
  if (knows(tokenizer, prompt)) return prompt;
  // A token that is a part of a character, or none of a text, is no prompt.
  for (let id = 0; id < tokenizer.vocabSize; id++) {
    const text = tokenizer.decode([id]);
    if (knows(tokenizer, text)) return text;
  }
  return prompt;
};
