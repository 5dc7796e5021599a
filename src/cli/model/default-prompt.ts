import { ForetokenError } from "../../core/errors/errors.ts";
import { defaultPrompt } from "../../generate/default-prompt.ts";
import type { Tokenizer } from "../../tokenizer/tokenizer.ts";
import { runOf } from "./checkpoint-path.ts";

/** Prompt of the samples in the run that wrote the checkpoint `directory`, or "" if it is unknown. */
const promptOfRun = async (directory: string): Promise<string> => {
  try {
    return (await runOf(directory))?.data.prompt ?? "";
  } catch (error) {
    // Text generation does not need the run's description, so a damaged description is ignored.
    if (error instanceof ForetokenError) return "";
    throw error;
  }
};

/**
 * Default prompt: a line end. If the tokenizer has no line end, the prompt of the run's samples is used. If there is no
 * such prompt, the first token is used.
 */
export const promptFor = async (tokenizer: Tokenizer, directory: string): Promise<string> =>
  defaultPrompt(tokenizer, await promptOfRun(directory));
