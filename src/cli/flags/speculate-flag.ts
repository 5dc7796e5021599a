import type { Command } from "commander";
import type { Speculate } from "../../generate/speculation/speculate.ts";
import { modelDirectory } from "../model/checkpoint-path.ts";
import { parsePath } from "./flags.ts";

/** Flag that chooses how to guess the next tokens. */
export interface SpeculateFlag {
  /** "ngram", or the path of a draft model. If undefined, no tokens are guessed. */
  readonly speculate?: string;
}

export const addSpeculateFlag = (command: Command): Command =>
  command.option(
    "--speculate <ngram|model>",
    "speculative decoding: guess the next tokens and check several guesses at once. The text is the same, and is faster if the guesses are right. ngram: copy the guesses from earlier text (good for code and repetition). A model: compute the guesses with a much smaller model that has the same tokenizer (default: no guesses)",
    parsePath("--speculate", ["ngram"]),
  );

/** Generation and load options for the flag. */
export const speculationOf = async ({
  speculate,
}: SpeculateFlag): Promise<{ readonly speculate: Speculate; readonly loading: { readonly draft?: string } }> => {
  if (speculate === undefined) return { speculate: false, loading: {} };
  if (speculate === "ngram") return { speculate, loading: {} };
  return { speculate: "draft", loading: { draft: await modelDirectory(speculate) } };
};
