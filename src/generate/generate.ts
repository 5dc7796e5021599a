import { z } from "zod";
import { checkKeys, checkLanguageModel, checkSignal } from "../core/checks/check-arguments.ts";
import { parseConfig, withoutUndefined } from "../core/checks/config.ts";
import { ConfigError } from "../core/errors/errors.ts";
import { randomKey, randomStream } from "../core/random.ts";
import { whileOpen } from "../pretrained/model/closed.ts";
import { generationDefaults } from "../pretrained/model/generation-config.ts";
import type { LanguageModel } from "../pretrained/model/language-model.ts";
import { type Candidate, likeliestOf, mostCandidates, softmaxSum } from "../pretrained/model/likeliest.ts";
import { textStream } from "../tokenizer/text-stream.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import {
  describeSkipped,
  type ReadText,
  readText,
  type SkippedText,
  type UnknownChoice,
  unknownSchema,
} from "../tokenizer/unknown.ts";
import { createDecoder } from "./decoder.ts";
import { defaultPrompt } from "./default-prompt.ts";
import { sampleToken } from "./sampling/sampler.ts";
import { type Sampling, samplingSchema } from "./sampling/settings.ts";
import { type StopWatch, stopWatch, type WatchedText } from "./stop-strings.ts";

/** What decides the text, besides the model and the prompt. */
export const generateSettingsSchema = samplingSchema.extend({
  maxNewTokens: z.int().positive().describe("tokens to write after the prompt"),
  seed: z.int().min(0).describe("same seed, same text"),
  stop: z.array(z.string().min(1)).describe("end before any of these strings"),
  showSpecialTokens: z.boolean().describe("write special tokens by their names instead of leaving them out"),
  unknown: unknownSchema,
});

const optionsSchema = generateSettingsSchema.extend({
  prompt: z
    .union([z.string(), z.array(z.int().min(0))], { error: "must be a text, or a list of token ids" })
    .optional(),
  endTokens: z.array(z.int().min(0)),
  candidates: z.int().min(0).max(mostCandidates),
  cache: z.boolean(),
});

/** Names of the options of `generate`. */
export const generateOptionNames: readonly string[] = [...Object.keys(optionsSchema.shape), "signal"];

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
};

/** The part of the options that a caller of the library alone has. */
const ownDefaults = { endTokens: [] as readonly number[], candidates: 0, cache: true };

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
  /** false: recompute every step from the start instead of keeping keys and values. Same text, slower. Default true. */
  readonly cache?: boolean | undefined;
  /** Abort to end after the current token, with a last event. Default: none. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Why generation ended: `maxNewTokens` were written, a stop string came, the model drew the end of a text (one of
 * `endTokens`), or the signal was aborted.
 */
export type FinishReason = "length" | "stop" | "endOfText" | "aborted";

/** A token was drawn. */
export interface TokenEvent {
  /** Version of the event's format. */
  readonly v: 1;
  readonly type: "token";
  /** 0 for the first token after the prompt. */
  readonly index: number;
  /** The token's id, from 0 to vocabSize − 1. */
  readonly id: number;
  /**
   * Text that may now be shown: empty while a character lacks bytes, or it might be the beginning of a stop string. The
   * texts of all tokens add up to the text of `done`.
   */
  readonly text: string;
  /**
   * The model's own probability of the token: softmax of all logits at temperature 1, before top-k and the rest. From 0 to 1.
   * Only where the option `candidates` asks for some.
   */
  readonly probability?: number;
  /**
   * The most probable tokens at this place, the most probable first, equal ones by their ids: as many as the option
   * `candidates` asks for. The drawn token need not be among them.
   */
  readonly candidates?: readonly Candidate[];
}

/** Last: nothing more is written. */
export interface GenerateDoneEvent {
  /** Version of the event's format. */
  readonly v: 1;
  readonly type: "done";
  /** The `done` of `train` has `"train"`. */
  readonly task: "generate";
  /** Why generation ended. */
  readonly finishReason: FinishReason;
  /** All text after the prompt; where the signal was aborted, without what was held back for a stop string. */
  readonly text: string;
  /** Tokens of the prompt. */
  readonly promptTokens: number;
  /** Tokens that were written. The end of text is one of them, where it was drawn. */
  readonly newTokens: number;
  /** What was left out of the prompt, with `unknown: "skip"` and only if there was any. */
  readonly skipped?: SkippedText;
}

/** What `generate` yields. */
export type GenerateEvent = TokenEvent | GenerateDoneEvent;

/** Ids in a plain list, as schemas know them. */
const listed = (prompt: unknown): unknown =>
  prompt instanceof Int32Array || prompt instanceof Uint32Array ? Array.from(prompt) : prompt;

/**
 * The options with defaults for those that are left out.
 * @throws ConfigError naming the first that is out of range or unknown.
 */
export const parseGenerateOptions = (options: Omit<GenerateOptions, "signal">): z.output<typeof optionsSchema> =>
  parseConfig(
    optionsSchema,
    { ...generateDefaults, ...ownDefaults, ...withoutUndefined({ ...options, prompt: listed(options.prompt) }) },
    "generate",
  );

/**
 * The prompt as a model reads it.
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
      ? readText(tokenizer, prompt, unknown, where, hint)
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

/** The text of the last token, with all that was held back before it. */
const withRest = (shown: string, rest: WatchedText, watch: StopWatch): WatchedText => ({
  text: shown + rest.text + (rest.stopped ? "" : watch.end()),
  stopped: rest.stopped,
});

/** Probabilities at the place of a token, as its event has them. */
type Probabilities = Required<Pick<TokenEvent, "probability" | "candidates">>;

/**
 * @param most tokens to name at each place; 0: nothing is told.
 * @returns tells of the token `id`, from the logits that it was drawn from.
 */
const probabilitiesOf = (
  tokenizer: Tokenizer,
  most: number,
): ((logits: Float32Array, id: number) => Probabilities | undefined) => {
  if (most === 0) return () => undefined;
  const likeliest = likeliestOf(tokenizer, most);
  return (logits, id) => {
    const sum = softmaxSum(logits, 0, logits.length);
    const probability = Math.exp((logits[id] as number) - sum.highest) / sum.sum;
    if (Number.isNaN(probability)) {
      throw new ConfigError({
        where: "generate: candidates",
        must: "the model's logits must be numbers, to have probabilities",
        got: "others",
        hint: "a model whose training went well",
      });
    }
    return { probability, candidates: likeliest(logits, 0, sum) };
  };
};

/**
 * Autoregressive generation: logits at the last position, softmax, one draw, append, again; the model sees the last
 * contextLength tokens. Yields each token as it is drawn, then `done`. A text that the model ends itself ends with one of its
 * `endTokens`.
 *
 * @param lm a model of `loadPretrained` or `languageModel`.
 * @param options prompt, sampling, stop strings, seed.
 * @throws ConfigError for a setting out of range or unknown, an empty prompt, a model that was or is closed, or
 *   `candidates` of a model whose logits are not numbers; DataError for a character the tokenizer lacks, unless `unknown`
 *   is "skip".
 * @example
 * ```ts
 * import { generate, loadPretrained } from "foretoken";
 *
 * const lm = await loadPretrained("runs/notes/best");
 * let text = "";
 * for await (const event of generate(lm, { prompt: "The ", maxNewTokens: 100, temperature: 0.7 })) {
 *   if (event.type === "token") text += event.text;
 * }
 * await lm.close();
 * ```
 */
export async function* generate(
  lm: LanguageModel,
  options: GenerateOptions = {},
): AsyncGenerator<GenerateEvent, void, undefined> {
  checkLanguageModel("generate: model", lm, "its own method, lm.generate()");
  checkKeys("generate", options, generateOptionNames);
  const { signal, ...given } = options;
  checkSignal("generate: signal", signal);
  const { prompt, cache, endTokens, candidates, ...settings } = parseGenerateOptions(given);
  const read = readPrompt(lm.tokenizer, prompt ?? defaultPrompt(lm.tokenizer), settings.unknown);
  const ids = Array.from(read.ids);
  const promptTokens = ids.length;
  const random = randomStream(randomKey(settings.seed, "sampling"));
  const { vocabSize } = lm.tokenizer;
  const ends = new Set([...lm.endTokens, ...endTokens]);
  const stream = textStream(lm.tokenizer, { showSpecialTokens: settings.showSpecialTokens });
  const watch = stopWatch(settings.stop);
  const tellOf = probabilitiesOf(lm.tokenizer, candidates);
  const decoder = await whileOpen("generate", lm.model, async () => createDecoder(lm.model, cache));
  let text = "";
  let finishReason: FinishReason = "length";
  try {
    for (let index = 0; index < settings.maxNewTokens; index++) {
      if (signal?.aborted === true) {
        finishReason = "aborted";
        break;
      }
      const logits = await whileOpen("generate", lm.model, () => decoder.next(ids));
      // An embedding may have more rows than there are tokens.
      const id = sampleToken(logits.subarray(0, vocabSize), settings, random);
      ids.push(id);
      const pushed = watch.push(stream.push(id));
      const isEnd = ends.has(id);
      const isLast = isEnd || index === settings.maxNewTokens - 1;
      const shown = isLast && !pushed.stopped ? withRest(pushed.text, watch.push(stream.end()), watch) : pushed;
      text += shown.text;
      yield { v: 1, type: "token", index, id, text: shown.text, ...tellOf(logits, id) };
      if (shown.stopped || isEnd) {
        finishReason = shown.stopped ? "stop" : "endOfText";
        break;
      }
    }
  } finally {
    decoder.close();
  }
  const newTokens = ids.length - promptTokens;
  const { skipped } = read;
  const done = { finishReason, text, promptTokens, newTokens, ...(skipped === undefined ? {} : { skipped }) };
  yield { v: 1, type: "done", task: "generate", ...done };
}
