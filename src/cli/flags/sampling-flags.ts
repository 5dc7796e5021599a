import type { Command } from "commander";
import { plainSampling, type Sampling } from "../../generate/sampling/settings.ts";
import { parseNumber } from "./flags.ts";

/** The flags for how the next token is drawn. */
export interface SamplingFlags extends Sampling {
  readonly seed: number;
}

/** The settings among a command's flags. */
export const samplingOf = (flags: SamplingFlags): SamplingFlags => {
  const { temperature, topK, topP, minP, typicalP, seed } = flags;
  const { repetitionPenalty, presencePenalty, frequencyPenalty } = flags;
  const filters = { temperature, topK, topP, minP, typicalP };
  return { ...filters, repetitionPenalty, presencePenalty, frequencyPenalty, seed };
};

/** @param defaults the values of flags that are not given. */
export const addSamplingFlags = (
  command: Command,
  defaults: Pick<SamplingFlags, "temperature" | "topK" | "topP" | "minP" | "seed">,
): Command => {
  const { temperature, topK, topP, minP, seed } = defaults;
  const number = (flag: string) => parseNumber(flag);
  const { typicalP, repetitionPenalty, presencePenalty, frequencyPenalty } = plainSampling;
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
    .option(
      "--typical-p <x>",
      "only tokens about as surprising as is expected, up to this probability; 1: all",
      number("--typical-p"),
      typicalP,
    )
    .option(
      "--repetition-penalty <x>",
      "divides logits of tokens that were there; 1: none",
      number("--repetition-penalty"),
      repetitionPenalty,
    )
    .option(
      "--presence-penalty <x>",
      "taken off the logits of tokens that were written; 0: none",
      number("--presence-penalty"),
      presencePenalty,
    )
    .option(
      "--frequency-penalty <x>",
      "the same for each time that they were written; 0: none",
      number("--frequency-penalty"),
      frequencyPenalty,
    )
    .option("--seed <n>", "same seed, same text", number("--seed"), seed);
};
