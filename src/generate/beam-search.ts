import { z } from "zod";
import { pageRows } from "../backend/kernels/sizes.ts";
import { checkKeys, checkLanguageModel, checkSignal } from "../core/checks/check-arguments.ts";
import { parseConfig, withoutUndefined } from "../core/checks/config.ts";
import { ConfigError } from "../core/errors/errors.ts";
import { searchBeams } from "../engine/beams.ts";
import { pageBytes } from "../engine/page-memory.ts";
import { createRoom } from "../engine/room.ts";
import { whileOpen } from "../pretrained/model/closed.ts";
import type { LanguageModel } from "../pretrained/model/language-model.ts";
import { type UnknownChoice, unknownSchema } from "../tokenizer/unknown.ts";
import { defaultPrompt } from "./default-prompt.ts";
import type { FinishReason } from "./events.ts";
import { generateDefaults, listed, readPrompt } from "./options.ts";

const schema = z.strictObject({
  prompt: z
    .union([z.string(), z.array(z.int().min(0))], { error: "must be a text, or a list of token ids" })
    .optional(),
  beams: z.int().min(1).max(64),
  maxNewTokens: z.int().positive(),
  lengthPenalty: z.number(),
  endTokens: z.array(z.int().min(0)),
  showSpecialTokens: z.boolean(),
  unknown: unknownSchema,
});

/** Options of `beamSearch`. */
export interface BeamSearchOptions {
  /** The text to continue, or its token ids. Default: as of `generate`. */
  readonly prompt?: string | readonly number[] | Int32Array | undefined;
  /** Texts that go on at a time, and that are found at most. Whole number from 1 to 64. Default 4. */
  readonly beams?: number | undefined;
  /** Tokens to write at most; with the prompt they must fit into the context. Whole number from 1. Default 100. */
  readonly maxNewTokens?: number | undefined;
  /** A text's score is ln p / length ** lengthPenalty: above 0 it favours long texts. Default 1. */
  readonly lengthPenalty?: number | undefined;
  /** Ids of tokens that end a text, besides those of the model. Default: none. */
  readonly endTokens?: readonly number[] | undefined;
  /** true: special tokens are in the text, by their names. Default false. */
  readonly showSpecialTokens?: boolean | undefined;
  /** Characters of the prompt that the tokenizer lacks: "error" (the default) refuses the prompt, "skip" leaves them out. */
  readonly unknown?: UnknownChoice | undefined;
  /** Abort to end with what was found by then. Default: none. */
  readonly signal?: AbortSignal | undefined;
}

/** A text of `beamSearch`. */
export interface BeamText {
  /** All text after the prompt. */
  readonly text: string;
  /** Ids of its tokens; the end of text is one of them, where it came. */
  readonly ids: readonly number[];
  /** ln p of the text after the prompt, in nats. */
  readonly logProb: number;
  /** `logProb` / length ** lengthPenalty: by it the texts are in order. */
  readonly score: number;
  /** `endOfText`, or `length` of one that might go on. */
  readonly finishReason: Extract<FinishReason, "endOfText" | "length" | "aborted">;
}

const optionNames = [...Object.keys(schema.shape), "signal"];

/**
 * Beam search: the likeliest texts after a prompt, among those that are looked at: of all texts so far with all next tokens the best
 * `beams` go on. Nothing is drawn. As `num_beams` of Hugging Face's generate, with early stopping off.
 *
 * @param lm a causal model of `loadPretrained` or `languageModel`.
 * @returns the texts that were found, the best first.
 * @throws ConfigError for an option out of range or unknown, a text that does not fit into the context, a model that is closed or has no
 *   mask; DataError for a character that the tokenizer lacks.
 * @example
 * ```ts
 * import { beamSearch, loadPretrained } from "foretoken";
 *
 * const lm = await loadPretrained("runs/notes/best");
 * for (const { text, score } of await beamSearch(lm, { prompt: "The ", beams: 4, maxNewTokens: 10 })) console.log(score, text);
 * await lm.close();
 * ```
 */
export const beamSearch = async (lm: LanguageModel, options: BeamSearchOptions = {}): Promise<readonly BeamText[]> => {
  const where = "beamSearch";
  checkLanguageModel(`${where}: model`, lm, "its own method, lm.beamSearch()");
  checkKeys(where, options, optionNames);
  const { signal, ...given } = options;
  checkSignal(`${where}: signal`, signal);
  const { showSpecialTokens: shown, unknown: choice } = generateDefaults;
  const defaults = {
    beams: 4,
    maxNewTokens: 100,
    lengthPenalty: 1,
    endTokens: [],
    showSpecialTokens: shown,
    unknown: choice,
  };
  const parsed = parseConfig(
    schema,
    { ...defaults, ...withoutUndefined({ ...given, prompt: listed(given.prompt) }) },
    where,
  );
  const { beams, maxNewTokens, lengthPenalty, endTokens, showSpecialTokens } = parsed;
  const { model, tokenizer } = lm;
  const { contextLength, mask } = model.config;
  if (mask !== "causal") throw new ConfigError({ where, must: "the model must be causal", got: "one without a mask" });
  const { ids } = readPrompt(tokenizer, parsed.prompt ?? defaultPrompt(tokenizer), parsed.unknown);
  if (ids.length + maxNewTokens - 1 > contextLength) {
    throw new ConfigError({
      where: `${where}: maxNewTokens`,
      must: `prompt and text must fit into the context of ${contextLength} tokens`,
      got: `${ids.length} and ${maxNewTokens}`,
      hint: `at most ${Math.max(0, contextLength + 1 - ids.length)}`,
    });
  }
  const found = await whileOpen(where, model, async () => {
    // Each beam may have a whole context of its own, beside the beams that they go on from.
    const room = createRoom(model, (2 * beams + 1) * (Math.ceil(contextLength / pageRows) + 1) * pageBytes(model));
    try {
      return await searchBeams(room, {
        ...{ model, prompt: Array.from(ids), maxNewTokens, beams, lengthPenalty, vocabSize: tokenizer.vocabSize },
        ends: new Set([...lm.endTokens, ...endTokens]),
        isAborted: () => signal?.aborted === true,
      });
    } finally {
      room.close();
    }
  });
  const unended = signal?.aborted === true ? "aborted" : "length";
  return found.map(({ ids: text, logProb, score, ended }) => ({
    text: tokenizer.decode(text, { showSpecialTokens }),
    ...{ ids: text, logProb, score, finishReason: ended ? "endOfText" : unended },
  }));
};
