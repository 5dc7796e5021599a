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

/** The settings that determine the text, together with the model and the prompt. */
export const generateSettingsSchema = samplingSchema.extend({
  maxNewTokens: z.int().positive().describe("tokens to write after the prompt"),
  seed: z.int().min(0).describe("the same seed gives the same text"),
  stop: z.array(z.string().min(1)).describe("stop before the first of these strings"),
  showSpecialTokens: z.boolean().describe("write special tokens by their names instead of leaving them out"),
  unknown: unknownSchema,
  badWords: z.array(z.string().min(1)).describe("words that are never written"),
  logitBias: z
    .record(z.string().regex(/^\d+$/, "must be token ids"), z.number())
    .describe("numbers to add to the logits of tokens, by token id"),
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
      "number of tokens to drop when the text outgrows the context: a multiple of 32 (the first 32 tokens always stay). With 0, the whole window is computed again for each token",
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

/** Default settings. */
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

/** Defaults of options that exist in the library, but not in commands. */
const ownDefaults = {
  ...{ endTokens: [] as readonly number[], candidates: 0, constrainedPrompt: 0, cache: true },
  speculate: false as Speculate,
};

type SamplingOptions = { readonly [K in keyof Sampling]?: Sampling[K] | undefined };

/** Options of `generate`. */
export interface GenerateOptions extends SamplingOptions {
  /**
   * The text to continue, or its token ids: at least one token. The model sees the last contextLength tokens. Ids may
   * include special tokens. The encoding of a text never contains special tokens. Default: a line end. If the tokenizer
   * has no line end, the default is the first token that is text.
   */
  readonly prompt?: string | readonly number[] | Int32Array | undefined;
  /** Tokens to write after the prompt. Whole number from 1. Default 400. */
  readonly maxNewTokens?: number | undefined;
  /** The same seed gives the same text. Whole number from 0. Default 1. */
  readonly seed?: number | undefined;
  /** The text ends before the first of these strings. The string is not part of the result. Default: none. */
  readonly stop?: readonly string[] | undefined;
  /** Ids of tokens that end the text, in addition to the model's own end tokens. Default: none. */
  readonly endTokens?: readonly number[] | undefined;
  /** True: the text contains the names of special tokens. False (default): special tokens have no text. */
  readonly showSpecialTokens?: boolean | undefined;
  /**
   * Action for characters of the prompt that the tokenizer lacks. "error" (the default) refuses the prompt. "skip"
   * leaves the characters out, and the last event lists them.
   */
  readonly unknown?: UnknownChoice | undefined;
  /**
   * Number of most probable tokens to report for each drawn token. Probabilities are the model's own, before
   * temperature, top-k and the other filters. With 1 or more, token events have `probability` and `candidates`. The
   * text does not change. Whole number from 0 to 50. Default 0.
   */
  readonly candidates?: number | undefined;
  /**
   * Words that are never written. A token is not drawn if it would complete such a word, alone or after a space.
   * Limitation: a word that ends in the middle of a token is not noticed. Default: none.
   */
  readonly badWords?: readonly string[] | undefined;
  /** Numbers that are added to the logits of tokens, by token id. −100 or less bans a token. Default: none. */
  readonly logitBias?: Readonly<Record<string, number>> | undefined;
  /**
   * The order of the filters. The list must contain temperature, topK, topP, minP and typicalP once each. Default: this
   * order, as in Hugging Face's `generate`.
   */
  readonly samplers?: readonly FilterName[] | undefined;
  /**
   * Number of tokens to drop when the text outgrows the context: a multiple of 32 (the first 32 tokens always stay).
   * With 0, the whole window is computed again for each token. Whole number from 0. Default 0.
   */
  readonly slide?: number | undefined;
  /**
   * Changes the logits of each token in place, after the penalties and before the filters. The arguments are the logits
   * [V] and all ids so far. Not available in a worker. Default: none.
   */
  readonly adjustLogits?: ((logits: Float32Array, ids: readonly number[]) => void) | undefined;
  /**
   * Constraint on the text: any JSON, JSON that meets a schema, a text that a grammar or a regular expression allows,
   * or one of several texts. Only tokens that the constraint allows are drawn; other options cannot change this. The
   * model can end the text only when the text is complete. If no token may follow, the text ends by itself. If
   * maxNewTokens or a stop string ends the text, it may be incomplete. Events still report the model's own
   * probabilities. Default: none.
   */
  readonly constraint?: Constraint | undefined;
  /**
   * Number of tokens at the end of the prompt that already belong to the constrained text, for example if a cut text is
   * continued. The constraint then covers these tokens and the new text together. Whole number from 0. Without a
   * constraint, this number must be 0. Default 0.
   */
  readonly constrainedPrompt?: number | undefined;
  /**
   * False turns the KV cache off: every step computes the whole text again. The text is the same, but needs more time.
   * Default true.
   */
  readonly cache?: boolean | undefined;
  /**
   * Speculative decoding: guesses the next tokens and checks several of them with one pass. The text is the same, and
   * is written faster if the guesses are right. `"ngram"` looks for the last tokens at an earlier place in prompt and
   * text, and guesses the tokens that followed there. This is good for code and other texts with repetition. If the
   * value is a second language model, the second model writes the guesses. The second model must have the same
   * tokenizer, should be much smaller, and must stay open. If guesses do not save time, fewer or no guesses are made.
   * There are no guesses beyond the context. Not allowed with `cache: false`. In a worker of Node, `"draft"` means the
   * option `draft` of `loadInWorker`. Default false.
   */
  readonly speculate?: Speculate | undefined;
  /** Abort it to end the text after the current token. The last event still comes. Default: none. */
  readonly signal?: AbortSignal | undefined;
}

/** Ids as a plain array, because the schema expects a plain array. */
export const listed = (prompt: unknown): unknown =>
  prompt instanceof Int32Array || prompt instanceof Uint32Array ? Array.from(prompt) : prompt;

/**
 * The options, with defaults for missing options.
 * @throws ConfigError that names the first option that is unknown or out of range.
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
 * Returns the prompt as token ids. If the tokenizer has a beginning-of-text token (BOS), a text gets this token at its
 * beginning. Given ids stay unchanged.
 * @throws ConfigError if the prompt has no tokens, DataError for a character that the tokenizer lacks.
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
    got: skipped === undefined ? "an empty prompt" : `only ${describeSkipped(skipped)}`,
    hint: '"\\n"',
  });
};

/** @param where name of the option in errors. @throws ConfigError if the model does not support `slide`. */
export const checkSlide = (
  slide: number,
  { contextLength, position, mask }: ModelConfig,
  where = "generate: slide",
): void => {
  if (slide === 0) return;
  if (position.kind !== "rope" || mask !== "causal") {
    const got = mask === "causal" ? "learned positions" : "a model without a causal mask";
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
  const must = `must be at most ${most} in ${context}: at least 64 tokens must stay`;
  throw new ConfigError({ where, must, got: String(slide), hint: String(most) });
};
