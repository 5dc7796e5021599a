import type { Command } from "commander";
import { plainSampling, type Sampling } from "../../generate/sampling/settings.ts";
import { parseNumber } from "./flags.ts";

/** Flags for how the next token is drawn. */
export interface SamplingFlags extends Sampling {
  readonly seed: number;
}

/** The sampling settings among a command's flags. */
export const samplingOf = (flags: SamplingFlags): SamplingFlags => {
  const { temperature, topK, topP, minP, typicalP, seed } = flags;
  const { repetitionPenalty, presencePenalty, frequencyPenalty } = flags;
  const filters = { temperature, topK, topP, minP, typicalP };
  return { ...filters, repetitionPenalty, presencePenalty, frequencyPenalty, seed };
};

/** @param defaults default values of the flags. */
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
      "divides the logits; lower values are less random, and 0 always takes the likeliest token",
      number("--temperature"),
      temperature,
    )
    .option("--top-k <n>", "keep only the k likeliest tokens; 0 keeps all tokens", number("--top-k"), topK)
    .option(
      "--top-p <x>",
      "keep the likeliest tokens until their probabilities add up to this value; 1 keeps all tokens",
      number("--top-p"),
      topP,
    )
    .option(
      "--min-p <x>",
      "drop tokens with a probability below this value times the highest probability; 0 drops no tokens",
      number("--min-p"),
      minP,
    )
    .option(
      "--typical-p <x>",
      "typical sampling: keep the tokens with a surprise near the expected surprise, until their probabilities add up to this value; 1 keeps all tokens",
      number("--typical-p"),
      typicalP,
    )
    .option(
      "--repetition-penalty <x>",
      "repetition penalty: divides the logits of tokens that are in the prompt or the text; 1 means no penalty",
      number("--repetition-penalty"),
      repetitionPenalty,
    )
    .option(
      "--presence-penalty <x>",
      "presence penalty: subtract this number once from the logit of each written token; 0 means no penalty",
      number("--presence-penalty"),
      presencePenalty,
    )
    .option(
      "--frequency-penalty <x>",
      "frequency penalty: subtract this number from a token's logit for each time that the token was written; 0 means no penalty",
      number("--frequency-penalty"),
      frequencyPenalty,
    )
    .option("--seed <n>", "seed of random draws: the same seed gives the same text", number("--seed"), seed);
};
