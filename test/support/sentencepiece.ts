import { readFileSync } from "node:fs";
import type { GgufMetadata } from "#foretoken/io/gguf/header.js";
import type { GgufValue } from "#foretoken/io/gguf/values.js";
import { readGgufText } from "#foretoken/pretrained/gguf/tokenizer.js";
import type { Tokenizer } from "#foretoken/tokenizer/tokenizer.js";

interface Model {
  readonly tokens: readonly string[];
  readonly scores: readonly number[];
  readonly types: readonly number[];
  readonly addSpacePrefix: boolean;
  readonly removeExtraWhitespaces: boolean;
  /** In base 64. */
  readonly charsmap: string;
  readonly ids: readonly (readonly number[])[];
}

export const modelNames = ["gemma", "llama", "unigram"] as const;
export type ModelName = (typeof modelNames)[number];

/** Results of `sentencepiece` and `tokenizers`, made by scripts/fixtures/make-sentencepiece.py. */
export const sentencePieces = JSON.parse(
  readFileSync(new URL("../fixtures/sentencepiece.json", import.meta.url), "utf8"),
) as {
  readonly texts: readonly string[];
  readonly models: Readonly<Record<ModelName, Model>>;
  readonly unigramJson: { readonly json: object; readonly ids: readonly (readonly number[])[] };
};

/**
 * Metadata of a GGUF file with one of these tokenizers. @param changes fields to change. A field with undefined is left
 * out.
 */
export const pieceMetadata = (
  name: ModelName,
  changes: Readonly<Record<string, GgufValue | undefined>> = {},
): GgufMetadata => {
  const model = sentencePieces.models[name];
  const fields: Record<string, GgufValue | undefined> = {
    model: name === "unigram" ? "t5" : "llama",
    tokens: model.tokens,
    scores: Float32Array.from(model.scores),
    token_type: Int32Array.from(model.types),
    add_space_prefix: model.addSpacePrefix,
    remove_extra_whitespaces: model.removeExtraWhitespaces,
    precompiled_charsmap: model.charsmap === "" ? undefined : Uint8Array.from(Buffer.from(model.charsmap, "base64")),
    bos_token_id: model.tokens.indexOf("<s>"),
    eos_token_id: model.tokens.indexOf("</s>"),
    ...changes,
  };
  return new Map(
    Object.entries(fields).flatMap(([key, value]): [string, GgufValue][] =>
      value === undefined ? [] : [[`tokenizer.ggml.${key}`, value]],
    ),
  );
};

export const pieceTokenizer = (
  name: ModelName,
  changes: Readonly<Record<string, GgufValue | undefined>> = {},
): Tokenizer =>
  readGgufText(pieceMetadata(name, changes), sentencePieces.models[name].tokens.length, "model.gguf").tokenizer;
