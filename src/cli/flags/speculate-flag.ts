import type { Command } from "commander";
import type { Speculate } from "../../generate/speculation/speculate.ts";
import { modelDirectory } from "../model/checkpoint-path.ts";
import { parsePath } from "./flags.ts";

/** The flag for who guesses the next tokens. */
export interface SpeculateFlag {
  /** "ngram", or the place of a model; undefined: nobody does. */
  readonly speculate?: string;
}

export const addSpeculateFlag = (command: Command): Command =>
  command.option(
    "--speculate <ngram|model>",
    "guess the next tokens and check several at once: the same text, faster where guesses come true. ngram looks them up in the text, for code and what repeats; a much smaller model with the same tokenizer writes them (default: nobody guesses)",
    parsePath("--speculate", ["ngram"]),
  );

/** What the flag asks of a text, and the model to load for it. */
export const speculationOf = async ({
  speculate,
}: SpeculateFlag): Promise<{ readonly speculate: Speculate; readonly loading: { readonly draft?: string } }> => {
  if (speculate === undefined) return { speculate: false, loading: {} };
  if (speculate === "ngram") return { speculate, loading: {} };
  return { speculate: "draft", loading: { draft: await modelDirectory(speculate) } };
};
