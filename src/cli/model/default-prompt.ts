import { ForetokenError } from "../../core/errors/errors.ts";
import type { Tokenizer } from "../../tokenizer/tokenizer.ts";
import { runOf } from "./checkpoint-path.ts";

const knows = (tokenizer: Tokenizer, text: string): boolean => {
  try {
    return tokenizer.encode(text).length > 0;
  } catch (error) {
    if (error instanceof ForetokenError) return false;
    throw error;
  }
};

/** Prompt of the samples in the run of the checkpoint `directory`; undefined if unknown. */
const promptOfRun = async (directory: string): Promise<string> => {
  try {
    return (await runOf(directory))?.data.prompt ?? "";
  } catch (error) {
    // A damaged description does not matter for generation.
    if (error instanceof ForetokenError) return "";
    throw error;
  }
};

/** The prompt if the user gives none: a line end; else the prompt of the run's samples; else the first token. */
export const defaultPrompt = async (tokenizer: Tokenizer, directory: string): Promise<string> => {
  if (knows(tokenizer, "\n")) return "\n";
  const prompt = await promptOfRun(directory);
  if (knows(tokenizer, prompt)) return prompt;
  // A token that is part of a character, or no text, cannot be a prompt.
  for (let id = 0; id < tokenizer.vocabSize; id++) {
    const text = tokenizer.decode([id]);
    if (knows(tokenizer, text)) return text;
  }
  return prompt;
};
