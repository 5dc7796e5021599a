/** Fields that all requests for texts have, with the matching options of the engine. */
import { randomInt } from "node:crypto";
import { z } from "zod";
import type { EngineGenerateOptions } from "../../generate/engine-options.ts";
import { invalid } from "./api-error.ts";
import { honoured, unused, type Values } from "./fields.ts";

/** Maximum number of texts per prompt in a request. */
export const mostChoices = 128;
/** Maximum number of stop strings. */
const mostStops = 16;

const between = (low: number, high: number) =>
  z.number({ error: "must be a number" }).min(low, `must be at least ${low}`).max(high, `must be at most ${high}`);
export const whole = (low: number, high: number = Number.MAX_SAFE_INTEGER) =>
  z.int({ error: "must be a whole number" }).min(low, `must be at least ${low}`).max(high, `must be at most ${high}`);
const stopText = z.string({ error: "must be a string" }).min(1, "must not be empty");

/** Fields that control how tokens are chosen and how many texts are written. */
export const samplingFields = {
  temperature: honoured(between(0, 2), "default 1; 0 selects the most probable token"),
  top_p: honoured(between(0, 1), "default 1"),
  n: honoured(whole(1, mostChoices), "number of texts for each prompt; default 1"),
  stop: honoured(
    z.union(
      [stopText.transform((text) => [text]), z.array(stopText).max(mostStops, `must be at most ${mostStops} texts`)],
      {
        error: `must be a text, or a list of at most ${mostStops} texts, none of them empty`,
      },
    ),
    "a text ends before the first occurrence of any of these strings",
  ),
  seed: honoured(
    whole(Number.MIN_SAFE_INTEGER),
    "the same seed gives the same answer; other requests do not change it; default: a new seed for each request",
  ),
  presence_penalty: honoured(between(-2, 2), "default 0"),
  frequency_penalty: honoured(between(-2, 2), "default 0"),
  logit_bias: honoured(
    z.record(z.string().regex(/^(?:0|[1-9]\d*)$/u), between(-100, 100), {
      error: (issue) =>
        issue.code === "invalid_key" ? "keys must be token ids" : "must be an object from token ids to numbers",
    }),
    "numbers to add to the logits of tokens, by token id; −100 bans a token",
  ),
  stream: honoured(z.boolean({ error: "must be true or false" }), "stream events instead of one answer; default false"),
  stream_options: honoured(
    z.strictObject({
      include_usage: z.boolean().nullish(),
      // OpenAI adds padding to hide lengths from eavesdroppers. The padding does not change texts.
      include_obfuscation: z.boolean().nullish(),
    }),
    "`include_usage`: true adds a final event with token counts",
  ),
  top_k: honoured(whole(-1), "not in OpenAI's API: keep the k most probable tokens; default 0: all"),
  min_p: honoured(
    between(0, 1),
    "not in OpenAI's API: drop tokens with a probability below this fraction of the highest probability; default 0",
  ),
  typical_p: honoured(between(0, 1), "not in OpenAI's API: locally typical sampling; default 1"),
  repetition_penalty: honoured(
    between(0.01, 100),
    "not in OpenAI's API: repetition penalty of Hugging Face's generate; default 1",
  ),
} as const;

/** Fields that do not affect the answer. */
export const unusedFields = {
  user: unused("identifies the user"),
  metadata: unused("data for the client's own use"),
  safety_identifier: unused("identifies the user"),
  prompt_cache_key: unused("the server finds a cached prefix by its tokens"),
  prompt_cache_retention: unused("prefixes stay in the cache until memory is needed"),
} as const;

type SamplingValues = Values<typeof samplingFields>;

/** Maps negative seeds to positive seeds, because the library's seeds start at 0. */
const seedFrom = (seed: number): number => (seed < 0 ? Number.MAX_SAFE_INTEGER + 1 + seed : seed);

/** A random seed for a request that has no seed. */
const anySeed = (): number => randomInt(2 ** 47);

/**
 * The options for the `count` texts of a prompt. The texts have consecutive seeds.
 * @throws ApiError for a token id outside the vocabulary.
 */
export const textOptions = (
  values: SamplingValues,
  vocabSize: number,
  count: number,
): readonly Omit<EngineGenerateOptions, "signal" | "prompt">[] => {
  const { temperature = 1, top_p: topP = 1, top_k: topK = 0, min_p: minP = 0, typical_p: typicalP = 1 } = values;
  const { presence_penalty: presencePenalty = 0, frequency_penalty: frequencyPenalty = 0, stop = [] } = values;
  const { repetition_penalty: repetitionPenalty = 1, logit_bias: logitBias = {} } = values;
  const outside = Object.keys(logitBias).find((id) => Number(id) >= vocabSize);
  if (outside !== undefined)
    throw invalid(`logit_bias: keys must be token ids below ${vocabSize}; got ${outside.slice(0, 20)}`, "logit_bias");
  const seed = values.seed === undefined ? anySeed() : seedFrom(values.seed);
  // 0 is mapped to the smallest positive number, which keeps only the most probable token.
  const least = Number.MIN_VALUE;
  return Array.from({ length: count }, (_, i) => ({
    ...{ temperature, topK: Math.max(0, topK), topP: Math.max(least, topP), minP, typicalP: Math.max(least, typicalP) },
    ...{ presencePenalty, frequencyPenalty, repetitionPenalty, stop, logitBias },
    seed: (seed + i) % (Number.MAX_SAFE_INTEGER + 1),
  }));
};
