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
  /** The text to continue, or its token ids. Default: the default prompt of `generate`. */
  readonly prompt?: string | readonly number[] | Int32Array | undefined;
  /**
   * Number of texts that the search continues at each step. This is also the maximum number of results. Whole number
   * from 1 to 64. Default 4.
   */
  readonly beams?: number | undefined;
  /**
   * Maximum number of tokens to write. Prompt and text together must fit into the context. Whole number from 1. Default
   * 100.
   */
  readonly maxNewTokens?: number | undefined;
  /**
   * Exponent of the length in the score ln p / length ** lengthPenalty. Values above 0 favour long texts. Default 1.
   */
  readonly lengthPenalty?: number | undefined;
  /** Ids of tokens that end a text, in addition to the model's own end tokens. Default: none. */
  readonly endTokens?: readonly number[] | undefined;
  /** True: the text contains the names of special tokens. Default false. */
  readonly showSpecialTokens?: boolean | undefined;
  /**
   * Action for characters of the prompt that the tokenizer lacks. "error" (the default) refuses the prompt. "skip"
   * leaves the characters out.
   */
  readonly unknown?: UnknownChoice | undefined;
  /** Abort it to end the search early. The texts that were found so far are returned. Default: none. */
  readonly signal?: AbortSignal | undefined;
}

/** A text of `beamSearch`. */
export interface BeamText {
  /** The text after the prompt. */
  readonly text: string;
  /** Ids of the text's tokens, including the end token if the model drew one. */
  readonly ids: readonly number[];
  /** ln p of the text after the prompt, in nats. */
  readonly logProb: number;
  /** `logProb` / length ** lengthPenalty. The returned texts are sorted by this score. */
  readonly score: number;
  /**
   * Why the text ended. `endOfText`: the model drew an end token. `length`: the text reached `maxNewTokens`. `aborted`:
   * the signal ended the search.
   */
  readonly finishReason: Extract<FinishReason, "endOfText" | "length" | "aborted">;
}

const optionNames = [...Object.keys(schema.shape), "signal"];

/**
 * Beam search: looks for the most probable texts after a prompt. Each step extends every kept text by every token, and
 * keeps the best `beams` texts. No token is drawn at random. Same as `num_beams` of Hugging Face's `generate` with
 * early stopping off.
 *
 * @param lm a causal model of `loadPretrained` or `languageModel`.
 * @returns the found texts; the best text comes first.
 * @throws ConfigError if an option is unknown or out of range, if prompt and text do not fit into the context, or if
 * the model is closed or has no causal mask; DataError for a character that the tokenizer lacks; CheckpointError if the
 * model's logits are not finite.
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
  checkLanguageModel(`${where}: model`, lm, "the model's own method, lm.beamSearch()");
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
  if (mask !== "causal")
    throw new ConfigError({ where, must: "the model must be causal", got: "a model without a causal mask" });
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
    // Memory for the old and the new beams at the same time, because each beam may need a whole context.
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
