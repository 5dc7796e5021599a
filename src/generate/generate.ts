import { z } from "zod";
import { checkLanguageModel, checkOptions, checkSignal } from "../core/check-arguments.ts";
import { parseConfig, withoutUndefined } from "../core/config.ts";
import { ConfigError } from "../core/errors.ts";
import { randomKey, randomStream } from "../core/random.ts";
import { whileOpen } from "../pretrained/closed.ts";
import { generationDefaults } from "../pretrained/generation-config.ts";
import type { LanguageModel } from "../pretrained/language-model.ts";
import { textStream } from "../tokenizer/text-stream.ts";
import { createDecoder } from "./decoder.ts";
import { type Sampling, sampleToken, samplingSchema } from "./sampler.ts";
import { type StopWatch, stopWatch, type WatchedText } from "./stop-strings.ts";

/** What decides the text, besides the model and the prompt. */
export const generateSettingsSchema = samplingSchema.extend({
  maxNewTokens: z.int().positive().describe("tokens to write after the prompt"),
  seed: z.int().min(0).describe("same seed, same text"),
  stop: z.array(z.string().min(1)).describe("end before any of these strings"),
  showSpecialTokens: z.boolean().describe("write special tokens by their names instead of leaving them out"),
});

const optionsSchema = generateSettingsSchema.extend({ prompt: z.string(), cache: z.boolean() });

/** The settings in use where a caller names none. */
export const generateDefaults = {
  ...generationDefaults,
  topP: 1,
  minP: 0,
  seed: 1,
  stop: [] as readonly string[],
  showSpecialTokens: false,
};

type SamplingOptions = { readonly [K in keyof Sampling]?: Sampling[K] | undefined };

/** What is left out or undefined is as in `generateDefaults`. */
export interface GenerateOptions extends SamplingOptions {
  readonly prompt: string;
  readonly maxNewTokens?: number | undefined;
  readonly seed?: number | undefined;
  /** Generation ends before the first of these; it is not part of the text. */
  readonly stop?: readonly string[] | undefined;
  /** true: special tokens are in the text, by their names. Default false: they are no text. */
  readonly showSpecialTokens?: boolean | undefined;
  /** false: recompute every step from the start instead of keeping keys and values. Same text, slower. */
  readonly cache?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Why generation ended: `maxNewTokens` were written, a stop string came, the model drew the tokenizer's end of text, or the
 * signal was aborted.
 */
export type FinishReason = "length" | "stop" | "endOfText" | "aborted";

/** A token was drawn. */
export interface TokenEvent {
  readonly v: 1;
  readonly type: "token";
  /** 0 for the first token after the prompt. */
  readonly index: number;
  readonly id: number;
  /**
   * Text that may now be shown: empty while a character lacks bytes, or it might be the beginning of a stop string. The
   * texts of all tokens add up to the text of `done`.
   */
  readonly text: string;
}

/** Last: nothing more is written. */
export interface GenerateDoneEvent {
  readonly v: 1;
  readonly type: "done";
  readonly finishReason: FinishReason;
  /** All text after the prompt; where the signal was aborted, without what was held back for a stop string. */
  readonly text: string;
  readonly promptTokens: number;
  /** The end of text is one of them, where it was drawn. */
  readonly newTokens: number;
}

/** What `generate` yields. */
export type GenerateEvent = TokenEvent | GenerateDoneEvent;

/**
 * The options with defaults for those that are left out.
 * @throws ConfigError naming the first that is out of range or unknown.
 */
export const parseGenerateOptions = (options: Omit<GenerateOptions, "signal">): z.output<typeof optionsSchema> =>
  parseConfig(optionsSchema, { ...generateDefaults, cache: true, ...withoutUndefined(options) }, "generate");

/** The text of the last token, with all that was held back before it. */
const withRest = (shown: string, rest: WatchedText, watch: StopWatch): WatchedText => ({
  text: shown + rest.text + (rest.stopped ? "" : watch.end()),
  stopped: rest.stopped,
});

/**
 * Autoregressive generation: logits at the last position, softmax, one draw, append, again; the model sees the last
 * contextLength tokens. Yields each token as it is drawn, then `done`. A text that the model ends itself ends with the token
 * `tokenizer.endOfText`.
 *
 * @throws ConfigError for a setting out of range or unknown, an empty prompt or a model that was or is closed, DataError
 *   for a character the tokenizer lacks.
 */
export async function* generate(
  lm: LanguageModel,
  options: GenerateOptions,
): AsyncGenerator<GenerateEvent, void, undefined> {
  checkLanguageModel("generate: model", lm, "its own method, lm.generate()");
  checkOptions("generate: options", options);
  const { signal, ...given } = options;
  checkSignal("generate: signal", signal);
  const { prompt, cache, ...settings } = parseGenerateOptions(given);
  const ids = Array.from(lm.tokenizer.encode(prompt, "prompt"));
  if (ids.length === 0) {
    throw new ConfigError({
      where: "generate",
      must: "the prompt must have at least one token to continue from",
      got: "an empty one",
      hint: '"\\n"',
    });
  }
  const promptTokens = ids.length;
  const random = randomStream(randomKey(settings.seed, "sampling"));
  const { endOfText } = lm.tokenizer;
  const stream = textStream(lm.tokenizer, { showSpecialTokens: settings.showSpecialTokens });
  const watch = stopWatch(settings.stop);
  const decoder = await whileOpen("generate", lm.model, async () => createDecoder(lm.model, cache));
  let text = "";
  let finishReason: FinishReason = "length";
  try {
    for (let index = 0; index < settings.maxNewTokens; index++) {
      if (signal?.aborted === true) {
        finishReason = "aborted";
        break;
      }
      const id = sampleToken(await whileOpen("generate", lm.model, () => decoder.next(ids)), settings, random);
      ids.push(id);
      const pushed = watch.push(stream.push(id));
      const isEnd = id === endOfText;
      const isLast = isEnd || index === settings.maxNewTokens - 1;
      const shown = isLast && !pushed.stopped ? withRest(pushed.text, watch.push(stream.end()), watch) : pushed;
      text += shown.text;
      yield { v: 1, type: "token", index, id, text: shown.text };
      if (shown.stopped || isEnd) {
        finishReason = shown.stopped ? "stop" : "endOfText";
        break;
      }
    }
  } finally {
    decoder.close();
  }
  yield { v: 1, type: "done", finishReason, text, promptTokens, newTokens: ids.length - promptTokens };
}
