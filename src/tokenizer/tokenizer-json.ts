import { z } from "zod";
import { CheckpointError } from "../core/errors.ts";
import { isRecord } from "../core/is-record.ts";
import { shorten, show } from "../core/show.ts";

/**
 * A character-level tokenizer in the format of Hugging Face's `tokenizers`: the text is split into its code points,
 * each is looked up whole, and decoding joins them. There are no special tokens. `unk_token` is required by the
 * format; the empty string is no token of the vocabulary, so an unknown character is an error there too and never
 * a wrong id. Source: the `tokenizers` library's serialised form, checked by `scripts/check-formats.py`.
 */
const charPipeline = {
  version: "1.0",
  truncation: null,
  padding: null,
  added_tokens: [],
  normalizer: null,
  pre_tokenizer: { type: "Split", pattern: { Regex: "[\\s\\S]" }, behavior: "Isolated", invert: false },
  post_processor: null,
  decoder: { type: "Fuse" },
} as const;

const charJson = z.object({
  added_tokens: z.tuple([]),
  normalizer: z.null(),
  pre_tokenizer: z.object({
    type: z.literal("Split"),
    pattern: z.object({ Regex: z.literal(charPipeline.pre_tokenizer.pattern.Regex) }),
    behavior: z.literal("Isolated"),
    invert: z.literal(false),
  }),
  post_processor: z.null(),
  decoder: z.object({ type: z.literal("Fuse") }),
  model: z.object({
    type: z.literal("WordLevel"),
    // Entry by entry below, in a tenth of the time.
    vocab: z.custom<Readonly<Record<string, unknown>>>(isRecord, "expected an object"),
    unk_token: z.literal(""),
  }),
});

const wordLevel = z.object({ model: z.object({ type: z.literal("WordLevel") }) });

/** Whether `json` claims to be a character-level tokenizer; `charactersFromJson` then checks the rest. */
export const isCharTokenizerJson = (json: unknown): boolean => wordLevel.safeParse(json).success;

/** The contents of `tokenizer.json` for the vocabulary `characters`. */
export const charTokenizerToJson = (characters: readonly string[]): unknown => ({
  ...charPipeline,
  model: {
    type: "WordLevel",
    vocab: Object.fromEntries(characters.map((character, id) => [character, id])),
    unk_token: "",
  },
});

/**
 * The characters, in the order of their ids, that `charTokenizerToJson` wrote. Anything that would make other software
 * encode the same text differently (a normalizer, an added token, another pre-tokenizer) is refused, never ignored.
 * @throws CheckpointError naming the field.
 */
export const charactersFromJson = (json: unknown, where: string): readonly string[] => {
  const parsed = charJson.safeParse(json);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw new CheckpointError({
      where,
      // A key of a forged vocabulary may have any length.
      must: `${shorten(issue?.path.join(".") ?? "the tokenizer")} must be as foretoken writes it for a character-level tokenizer`,
      ...(issue === undefined ? {} : { got: shorten(issue.message) }),
    });
  }
  const entries = Object.entries(parsed.data.model.vocab);
  const characters = new Array<string | undefined>(entries.length).fill(undefined);
  for (const [character, id] of entries) {
    const bad = (must: string): never => {
      throw new CheckpointError({ where, must, got: `${show(character)}: ${show(id)}` });
    };
    if (typeof id !== "number" || !Number.isInteger(id) || id < 0) {
      return bad(`model.vocab.${shorten(character)} must be a whole number from 0`);
    }
    const codePoint = character.codePointAt(0);
    if (codePoint === undefined || String.fromCodePoint(codePoint) !== character) {
      bad("every token of model.vocab must be one character");
    }
    if (id >= entries.length) bad(`ids in model.vocab must be 0 to ${entries.length - 1}, one each`);
    if (characters[id] !== undefined) bad(`ids in model.vocab must be distinct; ${show(characters[id])} too`);
    characters[id] = character;
  }
  if (entries.length === 0) throw new CheckpointError({ where, must: "model.vocab must not be empty" });
  // As many ids as places, all below their number and distinct: none is left undefined.
  return characters as string[];
};

/**
 * The contents of `tokenizer_config.json`: without it `transformers` would take the tokenizer class of the
 * architecture in `config.json`, which expects a byte-level BPE and special tokens.
 */
export const tokenizerConfigJson = (contextLength: number): unknown => ({
  tokenizer_class: "PreTrainedTokenizerFast",
  model_max_length: contextLength,
  clean_up_tokenization_spaces: false,
});
