import { ForetokenError } from "../../core/errors/errors.ts";
import { defaultPrompt } from "../../generate/default-prompt.ts";
import type { Tokenizer } from "../../tokenizer/tokenizer.ts";
import { runOf } from "./checkpoint-path.ts";

/** Prompt of the samples of the run that wrote the checkpoint `directory`; "" if unknown. */
const promptOfRun = async (directory: string): Promise<string> => {
  try {
    return (await runOf(directory))?.data.prompt ?? "";
  } catch (error) {
    // Generation works without the description, so a damaged one is ignored.
    if (error instanceof ForetokenError) return "";
    throw error;
  }
};

/**
 * Default prompt: a line end. If the model has no line end, the prompt of the run's samples is used, or else the first
 * token.
 */
export const promptFor = async (tokenizer: Tokenizer, directory: string): Promise<string> =>
  defaultPrompt(tokenizer, await promptOfRun(directory));
