/** Writes the `tokenizer.json` of a byte-level BPE, in the format of Hugging Face's `tokenizers` library. */
import type { SpecialToken } from "../tokenizer.ts";
import type { BpeParts } from "./parts.ts";
import { preTokenizerJson } from "./split/patterns.ts";

const matching = { single_word: false, lstrip: false, rstrip: false, normalized: false } as const;

const addedJson =
  (special: boolean) =>
  ({ id, name }: SpecialToken) => ({ id, content: name, ...matching, special });

/**
 * Contents of `tokenizer.json`. Special tokens with ids above the vocabulary's ids are listed only in `added_tokens`.
 */
export const bpeToJson = ({
  tokens,
  merges,
  pattern,
  specialTokens,
  namedTokens = [],
  ignoreMerges = false,
  normalizer,
}: BpeParts): unknown => ({
  version: "1.0",
  truncation: null,
  padding: null,
  added_tokens: [...specialTokens.map(addedJson(true)), ...namedTokens.map(addedJson(false))].sort(
    (a, b) => a.id - b.id,
  ),
  normalizer: normalizer === undefined ? null : { type: normalizer },
  pre_tokenizer: preTokenizerJson(pattern),
  post_processor: null,
  decoder: { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true },
  model: {
    type: "BPE",
    dropout: null,
    unk_token: null,
    continuing_subword_prefix: null,
    end_of_word_suffix: null,
    fuse_unk: false,
    byte_fallback: false,
    ignore_merges: ignoreMerges,
    vocab: Object.fromEntries(tokens.flatMap((token, id) => (token === "" ? [] : [[token, id]]))),
    merges: merges.map((rule) => (typeof rule === "string" ? rule.split(" ") : rule)),
  },
});
