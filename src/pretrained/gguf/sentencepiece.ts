/**
 * Reads SentencePiece tokenizers from GGUF files. `tokenizer.ggml.model` is llama for byte-pair encoding and t5 for
 * Unigram.
 */
import type { GgufMetadata } from "../../io/gguf/header.ts";
import type { Fields } from "../../models/architectures/common/gguf-values.ts";
import { charsmapOf } from "../../tokenizer/sentencepiece/charsmap.ts";
import { kinds } from "../../tokenizer/sentencepiece/parts.ts";
import { type SentencePieceTokenizer, sentencePieceTokenizer } from "../../tokenizer/sentencepiece/sentencepiece.ts";
import { stepsOf } from "../../tokenizer/sentencepiece/steps.ts";

/** llama.cpp's defaults (`llama_vocab`) for fields that are missing in a file. */
const defaults = {
  llama: { division: "bpe", addSpacePrefix: true, unknown: 0 },
  t5: { division: "unigram", addSpacePrefix: false, unknown: 2 },
} as const;

/** The value of `tokenizer.ggml.model` for SentencePiece. */
export type SentencePieceModel = keyof typeof defaults;

export const isSentencePieceModel = (model: string | undefined): model is SentencePieceModel =>
  model !== undefined && Object.hasOwn(defaults, model);

/**
 * llama.cpp treats tokens with these names as special, for any type in the file. But a text may contain these names as
 * ordinary characters. In Gemma 3, for example, `</s>` is the closing tag of an HTML element.
 */
const endNames = [
  "</s>",
  "<|im_end|>",
  "<|end|>",
  "<|eot_id|>",
  "<|eom_id|>",
  "<|endoftext|>",
  "<end_of_turn>",
  "<EOT>",
];

/** Types of the tokens, with llama.cpp's corrections. @param unknown id of the unknown token. */
const kindsOf = (tokens: readonly string[], types: ArrayLike<number>, unknown: number): Uint8Array => {
  const kindOf = Uint8Array.from(types);
  for (const name of endNames) {
    const id = tokens.indexOf(name);
    if (id !== -1 && kindOf[id] === kinds.userDefined) kindOf[id] = kinds.normal;
  }
  if (!kindOf.includes(kinds.unknown) && unknown < kindOf.length) kindOf[unknown] = kinds.unknown;
  return kindOf;
};

const scoresOf = (fields: Fields, metadata: GgufMetadata, count: number): ArrayLike<number> => {
  const key = "tokenizer.ggml.scores";
  const value = metadata.get(key);
  if (!ArrayBuffer.isView(value)) return fields.fail(key, "must be a list of numbers", value);
  const scores = value as unknown as ArrayLike<number>;
  if (scores.length !== count) fields.fail(key, `must have a score for each of the ${count} tokens`, scores.length);
  return scores;
};

const charsmapIn = (fields: Fields, metadata: GgufMetadata, where: string) => {
  const key = "tokenizer.ggml.precompiled_charsmap";
  const value = metadata.get(key);
  if (value === undefined) return undefined;
  if (!ArrayBuffer.isView(value)) return fields.fail(key, "must be a list of bytes", value);
  return charsmapOf(new Uint8Array(value.buffer, value.byteOffset, value.byteLength), `${where}: ${key}`);
};

/** Tokens of a file, with its BOS and EOS ids. */
export interface SentencePieceFacts {
  readonly tokens: readonly string[];
  /** Types of the tokens, with SentencePiece's numbers. */
  readonly types: ArrayLike<number>;
  readonly endOfText: number | null;
  readonly beginOfText: number | null;
}

/** @throws CheckpointError with the damaged field. */
export const readSentencePiece = (
  model: SentencePieceModel,
  metadata: GgufMetadata,
  fields: Fields,
  { tokens, types, endOfText, beginOfText }: SentencePieceFacts,
  where: string,
): SentencePieceTokenizer => {
  const { division, addSpacePrefix, unknown } = defaults[model];
  const scores = scoresOf(fields, metadata, tokens.length);
  const kindOf = kindsOf(tokens, types, fields.id("tokenizer.ggml.unknown_token_id") ?? unknown);
  const hasPrefix = fields.flag("tokenizer.ggml.add_space_prefix") ?? addSpacePrefix;
  const removesSpaces = fields.flag("tokenizer.ggml.remove_extra_whitespaces") ?? false;
  const isSpecial = (id: number | null): boolean =>
    id !== null && (kindOf[id] === kinds.control || kindOf[id] === kinds.unknown);
  return sentencePieceTokenizer(
    {
      division: { kind: division, scores },
      tokens,
      kinds: kindOf,
      steps: stepsOf(hasPrefix, removesSpaces, charsmapIn(fields, metadata, where)),
      splitsWords: false,
      joinsUnknown: true,
      dropsFirstSpace: hasPrefix,
      endOfText: isSpecial(endOfText) ? endOfText : null,
      beginOfText: isSpecial(beginOfText) ? beginOfText : null,
    },
    where,
  );
};
