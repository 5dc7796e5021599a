import { z } from "zod";
import { isRecord } from "../core/checks/is-record.ts";
import { CheckpointError } from "../core/errors/errors.ts";
import { lazy } from "../core/lazy.ts";
import { shorten, show } from "../core/text/show.ts";
import { isSurrogate } from "../core/text/surrogate.ts";
import type { SpecialToken, Tokenizer } from "./tokenizer.ts";

/** Name of the special token that ends a text, as in GPT-2. In a `tokenizer.json`, only the name marks this token. */
export const endOfTextName = "<|endoftext|>";

/**
 * A character tokenizer in the format of Hugging Face's `tokenizers`. The text is split into code points. Each code
 * point is looked up as a whole, and decoding joins the code points again. Special tokens are `added_tokens`, with ids
 * after the characters. The format requires `unk_token`. The file sets it to the empty string, which is not in the
 * vocabulary. An unknown character is therefore an error in `tokenizers`, too, and never gets a wrong id. Source: the
 * serialized form of the `tokenizers` library, checked by `scripts/checks/check-formats.py`.
 */
const charPipeline = {
  normalizer: null,
  pre_tokenizer: { type: "Split", pattern: { Regex: "[\\s\\S]" }, behavior: "Isolated", invert: false },
  post_processor: null,
  decoder: { type: "Fuse" },
} as const;

/** How `tokenizers` matches a special token in a text. */
const specialMatching = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: true } as const;

const charJson = lazy(() =>
  z.object({
    added_tokens: z.array(
      z.strictObject({
        id: z.int().min(0),
        content: z.string().min(1).max(200),
        single_word: z.literal(false),
        lstrip: z.literal(false),
        rstrip: z.literal(false),
        normalized: z.literal(false),
        special: z.literal(true),
      }),
    ),
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
      // The code below checks the entries. A check with zod would take ten times as long.
      vocab: z.custom<Readonly<Record<string, unknown>>>(isRecord, "expected an object"),
      unk_token: z.literal(""),
    }),
  }),
);

/** Contents of `tokenizer.json` for the vocabulary `characters`. The ids of special tokens follow. */
export const charTokenizerToJson = (
  characters: readonly string[],
  specialTokens: readonly SpecialToken[] = [],
): unknown => {
  const { normalizer, pre_tokenizer, post_processor, decoder } = charPipeline;
  return {
    version: "1.0",
    truncation: null,
    padding: null,
    added_tokens: specialTokens.map(({ id, name }) => ({ id, content: name, ...specialMatching })),
    normalizer,
    pre_tokenizer,
    post_processor,
    decoder,
    model: {
      type: "WordLevel",
      vocab: Object.fromEntries(characters.map((character, id) => [character, id])),
      unk_token: "",
    },
  };
};

/** Contents that `charTokenizerToJson` wrote. */
export interface CharVocabulary {
  /** Characters in the order of their ids, from 0. */
  readonly characters: readonly string[];
  /** Names of special tokens in the order of their ids, which follow the characters' ids. */
  readonly specialNames: readonly string[];
}

/** Characters of a vocabulary in the order of their ids. @throws CheckpointError */
const charactersOf = (vocab: Readonly<Record<string, unknown>>, where: string): readonly string[] => {
  const entries = Object.entries(vocab);
  const characters = new Array<string | undefined>(entries.length).fill(undefined);
  for (const [character, id] of entries) {
    const bad = (must: string): never => {
      throw new CheckpointError({ where, must, got: `${show(character)}: ${show(id)}` });
    };
    if (typeof id !== "number" || !Number.isInteger(id) || id < 0) {
      return bad(`model.vocab.${shorten(character)} must be a whole number from 0`);
    }
    const codePoint = character.codePointAt(0);
    const isOne = codePoint !== undefined && String.fromCodePoint(codePoint) === character;
    if (!isOne || isSurrogate(codePoint)) {
      bad("every token of model.vocab must be one character");
    }
    if (id >= entries.length) bad(`ids in model.vocab must be 0 to ${entries.length - 1}, one each`);
    if (characters[id] !== undefined)
      bad(`ids in model.vocab must be distinct; ${show(characters[id])} has the same id`);
    characters[id] = character;
  }
  if (entries.length === 0) throw new CheckpointError({ where, must: "model.vocab must not be empty" });
  // All ids are distinct and below the number of entries, so every element is set.
  return characters as string[];
};

/**
 * Reads contents that `charTokenizerToJson` wrote. A file is refused if other software would encode a text differently
 * with it. Reasons are a normalizer, another pre-tokenizer, or an added token that is not special.
 * @throws CheckpointError naming the field.
 */
export const charVocabularyFromJson = (json: unknown, where: string): CharVocabulary => {
  const parsed = charJson().safeParse(json, { jitless: true });
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw new CheckpointError({
      where,
      // The key is shortened, because a key of a forged vocabulary may be very long.
      must: `${shorten(issue?.path.join(".") ?? "the tokenizer")} must be as foretoken writes it for a character tokenizer`,
      ...(issue === undefined ? {} : { got: shorten(issue.message) }),
    });
  }
  const { model, added_tokens: added } = parsed.data;
  const characters = charactersOf(model.vocab, where);
  const names = new Set<string>();
  for (const [i, { id, content }] of added.entries()) {
    const must =
      id !== characters.length + i
        ? `the ids of added_tokens must follow the ids of model.vocab, from ${characters.length}`
        : names.has(content) || Object.hasOwn(model.vocab, content)
          ? "every token must have its own name"
          : undefined;
    if (must !== undefined) throw new CheckpointError({ where, must, got: `${show(content)}: ${id}` });
    names.add(content);
  }
  return { characters, specialNames: [...names] };
};

/**
 * Contents of `tokenizer_config.json`. If this file were missing, `transformers` would use the tokenizer class of the
 * architecture in `config.json`. This class expects a byte-level BPE and special tokens.
 */
export const tokenizerConfigJson = (
  contextLength: number,
  { endOfText, beginOfText, specialTokens }: Pick<Tokenizer, "endOfText" | "beginOfText" | "specialTokens">,
): unknown => {
  const end = specialTokens.find(({ id }) => id === endOfText);
  const begin = specialTokens.find(({ id }) => id === beginOfText);
  return {
    tokenizer_class: "PreTrainedTokenizerFast",
    model_max_length: contextLength,
    clean_up_tokenization_spaces: false,
    ...(begin === undefined ? {} : { bos_token: begin.name }),
    ...(end === undefined ? {} : { eos_token: end.name }),
  };
};
