/** Reads the tokenizer of a GGUF file from the tokens and merges in its metadata. */
import { alternatives } from "../../core/text/alternatives.ts";
import { show } from "../../core/text/show.ts";
import type { GgufMetadata } from "../../io/gguf/header.ts";
import type { Fields } from "../../models/architectures/common/gguf-values.ts";
import { beginningWith } from "../../tokenizer/begin.ts";
import { bpeTokenizer } from "../../tokenizer/bpe/bpe.ts";
import { charTokenizer } from "../../tokenizer/char.ts";
import { noTokenizer } from "../../tokenizer/none.ts";
import type { SpecialToken, Tokenizer } from "../../tokenizer/tokenizer.ts";
import type { ChatTemplate } from "../model/language-model.ts";
import { unescapeToken } from "./escapes.ts";
import { fieldsOf } from "./fields.ts";
import { ownKeys } from "./own-keys.ts";
import { type PreTokenizer, preTokenizers } from "./pre-tokenizers.ts";
import { isSentencePieceModel, readSentencePiece } from "./sentencepiece.ts";

/** Tokenizer, chat template and end tokens from the metadata. */
export interface GgufText {
  readonly tokenizer: Tokenizer;
  readonly chatTemplate: ChatTemplate | null;
  readonly endTokens: readonly number[];
}

/** Token types in the file. */
const normal = 1;
const control = 3;
const userDefined = 4;

const textsOf = (fields: Fields, metadata: GgufMetadata, key: string): readonly string[] => {
  const value = metadata.get(key) ?? [];
  const isTexts = Array.isArray(value) && value.every((item) => typeof item === "string");
  return isTexts ? (value as readonly string[]) : fields.fail(key, "must be a list of strings", value);
};

const typesOf = (fields: Fields, metadata: GgufMetadata, count: number): ArrayLike<number> => {
  const key = "tokenizer.ggml.token_type";
  const value = metadata.get(key);
  if (value === undefined) return new Int32Array(count).fill(1);
  if (!ArrayBuffer.isView(value)) return fields.fail(key, "must be a list of numbers", value);
  return value.length === count
    ? value
    : fields.fail(key, `must have a type for each of the ${count} tokens`, value.length);
};

/** Id from a field such as `eos_token_id`; null if the field is missing. */
const idOf = (fields: Fields, name: string, count: number): number | null => {
  const key = `tokenizer.ggml.${name}_token_id`;
  const id = fields.id(key) ?? null;
  return id === null || id < count ? id : fields.fail(key, `must be below ${count}, the number of tokens`, id);
};

/**
 * BOS id, or null if texts have no BOS token. @param model type of the tokenizer. @param pre name of the pre-tokenizer.
 */
const beginOf = (fields: Fields, count: number, model: string, pre: string | undefined): number | null => {
  // llama.cpp's default if the file does not have the field.
  const supposed = model === "llama" || (model === "gpt2" && pre === "llama-bpe");
  if (!(fields.flag("tokenizer.ggml.add_bos_token") ?? supposed)) return null;
  return idOf(fields, "bos", count) ?? (model === "llama" && count > 1 ? 1 : null);
};

/**
 * Removes placeholders for the BOS and EOS ids from the metadata. Foretoken writes placeholders for a model without an
 * end-of-text token.
 */
const withoutStandIn = (metadata: GgufMetadata, where: string): GgufMetadata => {
  const standIn = fieldsOf(metadata, where).id(ownKeys.endStandIn);
  if (standIn === undefined) return metadata;
  const names = ["eos", "bos"].map((name) => `tokenizer.ggml.${name}_token_id`);
  return new Map([...metadata].filter(([key, value]) => !(names.includes(key) && value === standIn)));
};

/** The chat template, with the names of the BOS and EOS tokens. */
const readTemplate = (metadata: GgufMetadata, fields: Fields, count: number): ChatTemplate | null => {
  const template = fields.text("tokenizer.chat_template");
  if (template === undefined) return null;
  const tokens = textsOf(fields, metadata, "tokenizer.ggml.tokens");
  const nameOf = (name: string): string => tokens[idOf(fields, name, count) ?? -1] ?? "";
  return { template, bosToken: nameOf("bos"), eosToken: nameOf("eos") };
};

const readBpe = (
  metadata: GgufMetadata,
  fields: Fields,
  rules: PreTokenizer,
  endOfText: number | null,
  where: string,
): Tokenizer => {
  const tokens = textsOf(fields, metadata, "tokenizer.ggml.tokens");
  const types = typesOf(fields, metadata, tokens.length);
  const ofType = (type: number): readonly SpecialToken[] =>
    tokens.flatMap((name, id) => (types[id] === type ? [{ id, name }] : []));
  const specials = ofType(control);
  return bpeTokenizer(
    {
      ...rules,
      tokens,
      merges: textsOf(fields, metadata, "tokenizer.ggml.merges"),
      specialTokens: specials,
      namedTokens: ofType(userDefined),
      endOfText: specials.some(({ id }) => id === endOfText) ? endOfText : null,
    },
    where,
  );
};

const isCharacter = (text: string | undefined): text is string =>
  text !== undefined && text === String.fromCodePoint(text.codePointAt(0) ?? 0);

/**
 * Reads the character tokenizer of a file that Foretoken wrote as type rwkv. The tokens of such a tokenizer are single
 * characters, followed by special tokens. Returns undefined for other rwkv tokenizers.
 */
const readCharacters = (metadata: GgufMetadata, fields: Fields): Tokenizer | undefined => {
  const tokens = textsOf(fields, metadata, "tokenizer.ggml.tokens");
  const types = typesOf(fields, metadata, tokens.length);
  const ofType = (type: number): readonly (string | undefined)[] =>
    tokens.flatMap((token, id) => (types[id] === type ? [unescapeToken(token)] : []));
  const characters = ofType(normal).filter(isCharacter);
  const names = ofType(control).filter((name) => name !== undefined);
  const known = characters.length + names.length;
  const inOrder = Array.from({ length: known }).every(
    (_, id) => types[id] === (id < characters.length ? normal : control),
  );
  const distinct = new Set([...characters, ...names]).size === known;
  const whole = characters.length === ofType(normal).length && names.length === ofType(control).length;
  return whole && inOrder && distinct && characters.length > 0 ? charTokenizer(characters, names) : undefined;
};

/**
 * Reads the text fields of a file. An unsupported tokenizer is replaced by a placeholder. Using the placeholder throws
 * an error with the reason.
 * @param vocabSize number of rows of the embedding.
 * @throws CheckpointError if a supported tokenizer is damaged, or has more tokens than the embedding has rows.
 */
export const readGgufText = (all: GgufMetadata, vocabSize: number, where: string): GgufText => {
  const metadata = withoutStandIn(all, where);
  const fields = fieldsOf(metadata, where);
  const chatTemplate = readTemplate(metadata, fields, vocabSize);
  const model = fields.text("tokenizer.ggml.model");
  const pre = fields.text("tokenizer.ggml.pre");
  const ids = ["eos", "eot", "eom"].map((name) => idOf(fields, name, vocabSize));
  const endTokens = [...new Set(ids.filter((id) => id !== null))];
  const without = (reason: string): GgufText => ({
    ...{ chatTemplate, endTokens },
    tokenizer: noTokenizer(where, vocabSize, reason),
  });
  const text = (tokenizer: Tokenizer): GgufText => {
    if (tokenizer.vocabSize > vocabSize) {
      const must = `must have at most ${vocabSize} tokens, the number of rows of token_embd.weight`;
      fields.fail("tokenizer.ggml.tokens", must, tokenizer.vocabSize);
    }
    return { tokenizer, chatTemplate, endTokens };
  };
  if (model === undefined) return without("a GGUF file without a tokenizer");
  if (model === "rwkv") {
    const tokenizer = readCharacters(metadata, fields);
    if (tokenizer === undefined)
      return without("a tokenizer of kind rwkv, which is supported only if its tokens are single characters");
    return text(tokenizer);
  }
  const beginOfText = beginOf(fields, vocabSize, model, pre);
  if (isSentencePieceModel(model)) {
    const tokens = textsOf(fields, metadata, "tokenizer.ggml.tokens");
    const facts = { tokens, types: typesOf(fields, metadata, tokens.length), endOfText: ids[0] ?? null, beginOfText };
    return text(readSentencePiece(model, metadata, fields, facts, where));
  }
  if (model !== "gpt2") {
    const known = "supported kinds are gpt2 (byte-level BPE), llama and t5 (SentencePiece)";
    return without(`a tokenizer of kind ${show(model)}; ${known}`);
  }
  const rules = preTokenizers.get(pre ?? "");
  if (rules === undefined) {
    const known = alternatives([...preTokenizers.keys()]);
    return without(
      `${pre === undefined ? "a file that names no pre-tokenizer" : `the pre-tokenizer ${show(pre)}`}; supported pre-tokenizers are ${known}`,
    );
  }
  return text(beginningWith(readBpe(metadata, fields, rules, ids[0] ?? null, where), beginOfText));
};
