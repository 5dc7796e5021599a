import { ForetokenError } from "../../core/errors/errors.ts";
import { defaultPrompt } from "../../generate/default-prompt.ts";
import type { Tokenizer } from "../../tokenizer/tokenizer.ts";
import { runOf } from "./checkpoint-path.ts";

/** Prompt of the samples in the run of the checkpoint `directory`; "" if unknown. */
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
export const promptFor = async (tokenizer: Tokenizer, directory: string): Promise<string> =>
  defaultPrompt(tokenizer, await promptOfRun(directory));
