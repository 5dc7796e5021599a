import type { Command } from "commander";
import { parseNumber } from "./flags.ts";

/** The flags for how the next token is drawn. */
export interface SamplingFlags {
  readonly temperature: number;
  readonly topK: number;
  readonly topP: number;
  readonly minP: number;
  readonly seed: number;
}

/** @param defaults the values of flags that are not given. */
export const addSamplingFlags = (command: Command, defaults: SamplingFlags): Command => {
  const { temperature, topK, topP, minP, seed } = defaults;
  const number = (flag: string) => parseNumber(flag);
  return command
    .optionsGroup("Sampling: how the next token is drawn")
    .option(
      "--temperature <x>",
      "divides the logits; 0 takes the likeliest token",
      number("--temperature"),
      temperature,
    )
    .option("--top-k <n>", "only the k likeliest tokens; 0: all", number("--top-k"), topK)
    .option("--top-p <x>", "only the likeliest that together reach this probability; 1: all", number("--top-p"), topP)
    .option("--min-p <x>", "none less likely than this times the likeliest; 0: all", number("--min-p"), minP)
    .option("--seed <n>", "same seed, same text", number("--seed"), seed);
};
