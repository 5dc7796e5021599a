import { z } from "zod";
import { parseConfig, withoutUndefined } from "../core/checks/config.ts";
import { ConfigError } from "../core/errors/errors.ts";
import type { ModelConfig } from "../models/config.ts";
import { generationDefaults } from "../pretrained/model/generation-config.ts";
import { mostCandidates } from "../pretrained/model/likeliest.ts";
import { withBegin } from "../tokenizer/begin.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import { describeSkipped, type ReadText, readText, type UnknownChoice, unknownSchema } from "../tokenizer/unknown.ts";
import { type Constraint, parseConstraint } from "./constraint/constraint.ts";
import { type FilterName, filterNames, type Sampling, samplingSchema } from "./sampling/settings.ts";
import type { Speculate } from "./speculation/speculate.ts";

/** What decides the text, besides the model and the prompt. */
export const generateSettingsSchema = samplingSchema.extend({
  maxNewTokens: z.int().positive().describe("tokens to write after the prompt"),
  seed: z.int().min(0).describe("same seed, same text"),
  stop: z.array(z.string().min(1)).describe("end before any of these strings"),
  showSpecialTokens: z.boolean().describe("write special tokens by their names instead of leaving them out"),
  unknown: unknownSchema,
  badWords: z.array(z.string().min(1)).describe("never write any of these"),
  logitBias: z
    .record(z.string().regex(/^\d+$/, "must be token ids"), z.number())
    .describe("added to the logits of tokens"),
  samplers: z
    .array(z.enum(filterNames))
    .refine((names) => new Set(names).size === filterNames.length && names.length === filterNames.length, {
      error: `must name each of ${filterNames.join(", ")} once`,
    })
    .describe("the order of the filters"),
  slide: z
    .int()
    .min(0)
    .multipleOf(32)
    .describe(
      "tokens to drop when the text outgrows the context, a multiple of 32, after the first 32; 0: compute the window again for each token",
    ),
});

const optionsSchema = generateSettingsSchema.extend({
  prompt: z
    .union([z.string(), z.array(z.int().min(0))], { error: "must be a text, or a list of token ids" })
    .optional(),
  endTokens: z.array(z.int().min(0)),
  candidates: z.int().min(0).max(mostCandidates),
  constrainedPrompt: z.int().min(0),
  cache: z.boolean(),
  speculate: z.custom<Speculate>(),
  adjustLogits: z
    .custom<(logits: Float32Array, ids: readonly number[]) => void>((value) => typeof value === "function", {
      error: "must be a function",
    })
    .optional(),
});

/** The options with their defaults. */
export type ParsedOptions = z.output<typeof optionsSchema> & { readonly constraint: Constraint | undefined };

/** Names of the options of `generate`. */
export const generateOptionNames: readonly string[] = [...Object.keys(optionsSchema.shape), "constraint", "signal"];

/** The settings in use where a caller names none. */
export const generateDefaults = {
  ...generationDefaults,
  topP: 1,
  minP: 0,
  typicalP: 1,
  repetitionPenalty: 1,
  presencePenalty: 0,
  frequencyPenalty: 0,
  seed: 1,
  stop: [] as readonly string[],
  showSpecialTokens: false,
  unknown: "error" as UnknownChoice,
  badWords: [] as string[],
  logitBias: {} as Record<string, number>,
  samplers: [...filterNames] as FilterName[],
  slide: 0,
};

/** The part of the options that a caller of the library alone has. */
const ownDefaults = {
  ...{ endTokens: [] as readonly number[], candidates: 0, constrainedPrompt: 0, cache: true },
  speculate: false as Speculate,
};

type SamplingOptions = { readonly [K in keyof Sampling]?: Sampling[K] | undefined };

/** Options of `generate`. */
export interface GenerateOptions extends SamplingOptions {
  /**
   * The text to continue, or its token ids, at least one token of it: the model sees its last contextLength tokens. Ids may
   * be of special tokens, which no text is encoded to. Default: a line end; where the model knows none, its first token.
   */
  readonly prompt?: string | readonly number[] | Int32Array | undefined;
  /** Tokens to write after the prompt. Whole number from 1. Default 400. */
  readonly maxNewTokens?: number | undefined;
  /** Same seed, same text. Whole number from 0. Default 1. */
  readonly seed?: number | undefined;
  /** Generation ends before the first of these texts, which is not part of the result. Default: none. */
  readonly stop?: readonly string[] | undefined;
  /** Ids of tokens that end generation, besides those of the model. Default: none. */
  readonly endTokens?: readonly number[] | undefined;
  /** true: special tokens are in the text, by their names. Default false: they are no text. */
  readonly showSpecialTokens?: boolean | undefined;
  /**
   * Characters of the prompt that the tokenizer lacks: "error" (the default) refuses the prompt, "skip" leaves them out,
   * and the last event says which.
   */
  readonly unknown?: UnknownChoice | undefined;
  /**
   * The most probable tokens to name with each token that is drawn, by the model's own probabilities: before temperature,
   * top-k and the rest. With 1 or more, token events have `probability` and `candidates`. The text is the same. Whole number
   * from 0 to 50. Default 0: none.
   */
  readonly candidates?: number | undefined;
  /**
   * Words that are never written: no token that would end one, alone or after a space, is drawn. Where a token ends it in the middle
   * of its own text, it is not noticed. Default: none.
   */
  readonly badWords?: readonly string[] | undefined;
  /** Numbers that are added to the logits of tokens, by their ids: −100 and less bans one. Default: none. */
  readonly logitBias?: Readonly<Record<string, number>> | undefined;
  /**
   * The order of the filters: each of temperature, topK, topP, minP and typicalP once. Default: that order, as Hugging Face's
   * generate has it.
   */
  readonly samplers?: readonly FilterName[] | undefined;
  /**
   * Tokens to drop when the text outgrows the context, a multiple of 32, after the first 32; 0: compute the window
   * again for each token. Whole number from 0. Default 0.
   */
  readonly slide?: number | undefined;
  /**
   * Changes the logits of each token in place, after the penalties and before the filters. It gets logits [V] and all ids so far.
   * Not in a worker. Default: none.
   */
  readonly adjustLogits?: ((logits: Float32Array, ids: readonly number[]) => void) | undefined;
  /**
   * What the text must be: JSON, JSON of a schema, a text of a grammar or a regular expression, or one of some texts. Only tokens that
   * keep to it are drawn, whatever other options ask for; the end of the text is drawn exactly where the text is complete, and a text
   * after which nothing may follow ends by itself. Where maxNewTokens or a stop string ends the text, it may be incomplete.
   * Probabilities of events stay the model's own. Default: none.
   */
  readonly constraint?: Constraint | undefined;
  /**
   * Tokens at the end of the prompt that are the beginning of the constrained text already, as of one that was cut: the constraint
   * is that of both together. Whole number from 0, and 0 without a constraint. Default 0.
   */
  readonly constrainedPrompt?: number | undefined;
  /** false: recompute every step from the start instead of keeping keys and values. Same text, slower. Default true. */
  readonly cache?: boolean | undefined;
  /**
   * Guesses the next tokens, and checks several with one pass: the same text, faster where guesses come true. `"ngram"` looks up the
   * last tokens in the text itself, prompt included, and guesses what followed them: for code and other texts that repeat. A model with
   * the same tokenizer, much smaller than this one, writes the guesses itself; it must stay open. Where guesses do not pay, fewer or
   * none are made. Past the context there are none, and they do not go with `cache: false`. In a worker of Node `"draft"` stands for the
   * model that `loadInWorker` was given as `draft`. Default false.
   */
  readonly speculate?: Speculate | undefined;
  /** Abort to end after the current token, with a last event. Default: none. */
  readonly signal?: AbortSignal | undefined;
}

/** Ids in a plain list, as schemas know them. */
export const listed = (prompt: unknown): unknown =>
  prompt instanceof Int32Array || prompt instanceof Uint32Array ? Array.from(prompt) : prompt;

/**
 * The options with defaults for those that are left out.
 * @throws ConfigError naming the first that is out of range or unknown.
 */
export const parseGenerateOptions = (options: Omit<GenerateOptions, "signal">): ParsedOptions => {
  const { constraint, ...others } = options;
  const given = withoutUndefined({ ...others, prompt: listed(options.prompt) });
  return {
    ...parseConfig(optionsSchema, { ...generateDefaults, ...ownDefaults, ...given }, "generate"),
    constraint: parseConstraint(constraint, "generate"),
  };
};

const begun = (tokenizer: Tokenizer, read: ReadText): ReadText => ({ ...read, ids: withBegin(tokenizer, read.ids) });

/**
 * The prompt as a model reads it: a text after the token that texts begin with, if the tokenizer adds one; ids as they are.
 * @throws ConfigError if there is nothing to continue from, DataError for a character the tokenizer lacks.
 */
export const readPrompt = (
  tokenizer: Tokenizer,
  prompt: string | ArrayLike<number>,
  unknown: UnknownChoice,
  where = "prompt",
  hint = 'unknown: "skip"',
): ReadText => {
  const read: ReadText =
    typeof prompt === "string"
      ? begun(tokenizer, readText(tokenizer, prompt, unknown, where, hint))
      : { text: "", ids: Int32Array.from(prompt), skipped: undefined };
  if (read.ids.length > 0) return read;
  const { skipped } = read;
  throw new ConfigError({
    where: skipped === undefined ? "generate" : where,
    must: "the prompt must have at least one token to continue from",
    got: skipped === undefined ? "an empty one" : `none but ${describeSkipped(skipped)}`,
    hint: '"\\n"',
  });
};

/** @param where names the option in errors. @throws ConfigError for a window that cannot slide like this. */
export const checkSlide = (
  slide: number,
  { contextLength, position, mask }: ModelConfig,
  where = "generate: slide",
): void => {
  if (slide === 0) return;
  if (position.kind !== "rope" || mask !== "causal") {
    const got = mask === "causal" ? "learned positions" : "one without a mask";
    throw new ConfigError({ where, must: "the model must be causal with rotary positions", got, hint: "0" });
  }
  const most = Math.floor((contextLength - 64) / 32) * 32;
  if (slide <= most) return;
  const context = `a context of ${contextLength} tokens`;
  if (most < 32) {
    throw new ConfigError({
      where,
      must: "needs a context of at least 96 tokens",
      got: `${slide} with ${context}`,
      hint: "0",
    });
  }
  const must = `must be at most ${most} in ${context}, of which at least 64 stay`;
  throw new ConfigError({ where, must, got: String(slide), hint: String(most) });
};
