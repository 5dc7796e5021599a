/** Writes a tokenizer, chat template and end tokens as metadata fields of a GGUF file. ../tokenizer.ts reads them. */
import { isRecord } from "../../../core/checks/is-record.ts";
import { ConfigError } from "../../../core/errors/errors.ts";
import { show } from "../../../core/text/show.ts";
import { flag, i32s, type TypedValue, text, texts, u32 } from "../../../io/gguf/metadata.ts";
import { characterOfByte } from "../../../tokenizer/bpe/byte-alphabet.ts";
import type { BpeParts } from "../../../tokenizer/bpe/parts.ts";
import { bpePartsOf } from "../../../tokenizer/bpe/read-json.ts";
import { isSentencePiece } from "../../../tokenizer/sentencepiece/sentencepiece.ts";
import type { Tokenizer } from "../../../tokenizer/tokenizer.ts";
import { charVocabularyFromJson } from "../../../tokenizer/tokenizer-json.ts";
import type { Pretrained } from "../../pretrained.ts";
import { escapeToken } from "../escapes.ts";
import { ownKeys } from "../own-keys.ts";
import { preTokenizerNamed } from "../pre-tokenizers.ts";
import { sentencePieceFields } from "./sentencepiece.ts";

/** Facts about a model's text processing. */
export type TextFacts = Pick<Pretrained, "tokenizer" | "chatTemplate" | "endTokens" | "vocabSize" | "where">;

/** Token types in a file. */
const types = { normal: 1, control: 3, named: 4, unused: 5 } as const;

/** Tokens by id, with their types. */
interface Vocabulary {
  readonly model: string;
  readonly tokens: readonly string[];
  readonly types: readonly number[];
  readonly rest: Readonly<Record<string, TypedValue>>;
  /**
   * A token that never occurs in a text. If the file must name an end-of-text token but the model has none, this token
   * is the placeholder.
   */
  readonly never?: number;
}

const fail = (where: string, must: string, got: string, hint?: string): never => {
  throw new ConfigError({ where, must, got, ...(hint === undefined ? {} : { hint }) });
};

/** Fills ids without a token with placeholders. */
const padded = (tokens: readonly string[], vocabSize: number): readonly string[] =>
  Array.from({ length: vocabSize }, (_, id) => tokens[id] || `[PAD${id}]`);

/**
 * Vocabulary of a character tokenizer. llama.cpp has no character tokenizer, so the file uses the type rwkv.
 * llama.cpp's RWKV tokenizer takes the longest token that matches at each position. If all tokens are single
 * characters, the RWKV tokenizer gives the same ids. RWKV is also the only type for which llama.cpp assumes no
 * end-of-text token. For byte-level BPE, llama.cpp would assume id 11, which is an ordinary character here.
 */
const charVocabulary = (tokenizer: Tokenizer, vocabSize: number, where: string): Vocabulary => {
  const { characters, specialNames } = charVocabularyFromJson(tokenizer.toJSON(), where);
  const tokens = padded([...characters, ...specialNames].map(escapeToken), vocabSize);
  const known = characters.length + specialNames.length;
  return {
    ...{ model: "rwkv", tokens },
    // llama.cpp aborts if a character of a text has no token. At startup, llama.cpp aborts if the newline has no token.
    // So the file always names an unknown token.
    rest: { "tokenizer.ggml.unknown_token_id": u32(Math.max(0, characters.indexOf(" "))) },
    types: tokens.map((_, id) => (id < characters.length ? types.normal : id < known ? types.control : types.unused)),
  };
};

/** Bytes that never occur in UTF-8. */
const impossibleBytes = [0xff, 0xfe, 0xfd, 0xfc, 0xfb, 0xfa, 0xf9, 0xf8, 0xf7, 0xf6, 0xf5, 0xc1, 0xc0];

const bpeVocabulary = (parts: BpeParts, vocabSize: number, where: string): Vocabulary => {
  const pre = preTokenizerNamed(parts);
  if (pre === undefined) {
    const { pattern, ignoreMerges, normalizer } = parts;
    const got = [`pattern ${pattern}`, ...(ignoreMerges ? ["ignore_merges"] : []), normalizer ?? "no normalizer"];
    return fail(where, "the tokenizer must have rules that llama.cpp supports", got.join(", "));
  }
  const byId = [...parts.tokens];
  const kinds = byId.map((token) => (token === "" ? types.unused : types.normal) as number);
  for (const [list, kind] of [
    [parts.specialTokens, types.control],
    [parts.namedTokens ?? [], types.named],
  ] as const) {
    for (const { id, name } of list) {
      byId[id] = name;
      kinds[id] = kind;
    }
  }
  const tokens = padded(byId, vocabSize);
  const ids = new Map(parts.tokens.map((token, id) => [token, id]));
  const never = impossibleBytes.map((byte) => ids.get(characterOfByte[byte] ?? "")).find((id) => id !== undefined);
  return {
    ...{ model: "gpt2", tokens },
    types: Array.from(tokens, (_, id) => kinds[id] ?? types.unused),
    rest: {
      "tokenizer.ggml.pre": text(pre),
      "tokenizer.ggml.merges": texts(parts.merges.map((rule) => (typeof rule === "string" ? rule : rule.join(" ")))),
    },
    ...(never === undefined ? {} : { never }),
  };
};

/** Describes the type of a tokenizer for an error. */
const kindInWords = (tokenizer: Tokenizer): string => {
  if (tokenizer.kind === "none") return "a model without a supported tokenizer";
  const json: unknown = tokenizer.toJSON();
  const model = isRecord(json) && isRecord(json.model) && typeof json.model.type === "string" ? json.model.type : "";
  return `a tokenizer of kind ${model === "" ? tokenizer.kind : model}`;
};

const vocabularyOf = ({ tokenizer, vocabSize, where }: TextFacts): Vocabulary => {
  if (tokenizer.kind === "char") return charVocabulary(tokenizer, vocabSize, where);
  if (tokenizer.kind === "bpe") return bpeVocabulary(bpePartsOf(tokenizer.toJSON(), where), vocabSize, where);
  if (isSentencePiece(tokenizer)) return sentencePieceFields(tokenizer.parts, vocabSize, where);
  const must = "the tokenizer of a GGUF file must be byte-level BPE, SentencePiece or a character tokenizer";
  return fail(where, must, kindInWords(tokenizer));
};

/** Ids of end tokens. A file has fields for three end tokens: eos, eot and eom. */
export interface WrittenEnds {
  readonly kept: readonly number[];
  /** Ids of end tokens for which the file has no field. */
  readonly leftOut: readonly number[];
}

/**
 * Chooses the end token ids of a file. The chat template's EOS token comes first if it ends the model's texts, if the
 * template writes it, or if there is no other end token. In other cases, the EOS token is left out.
 */
export const writtenEnds = ({ tokenizer, chatTemplate, endTokens, vocabSize }: TextFacts): WrittenEnds => {
  const own = [...endTokens, ...(tokenizer.endOfText === null ? [] : [tokenizer.endOfText])];
  const named = tokenizer.specialTokens.find(({ name }) => name === chatTemplate?.eosToken)?.id;
  const isWritten = chatTemplate?.template.includes("eos_token") === true;
  const first = named !== undefined && (own.includes(named) || isWritten || own.length === 0) ? [named] : [];
  const ids = [...new Set([...first, ...own])].filter((id) => id < vocabSize);
  return { kept: ids.slice(0, 3), leftOut: ids.slice(3) };
};

/** Fields with the BOS and end token ids. */
const idFields = (facts: TextFacts, never: number | undefined, model: string): Readonly<Record<string, TypedValue>> => {
  const { tokenizer, chatTemplate, where } = facts;
  const idOf = (name: string | undefined): number | undefined =>
    tokenizer.specialTokens.find((special) => special.name === name)?.id;
  const begin = tokenizer.beginOfText ?? undefined;
  const { kept: known } = writtenEnds(facts);
  const standIn = known.length === 0 ? never : undefined;
  const [eos = standIn, eot, eom] = known;
  if (eos === undefined && model !== "rwkv") {
    const must = "the tokenizer must have an end-of-text token, or a token for a byte that never occurs in UTF-8";
    return fail(where, must, "no such token: llama.cpp would treat an ordinary token as the end of text");
  }
  const bos = begin ?? idOf(chatTemplate?.bosToken) ?? eos;
  const fields = { bos, eos, eot, eom };
  return {
    ...Object.fromEntries(
      Object.entries(fields).flatMap(([name, id]) =>
        id === undefined ? [] : [[`tokenizer.ggml.${name}_token_id`, u32(id)]],
      ),
    ),
    ...(standIn === undefined ? {} : { [ownKeys.endStandIn]: u32(standIn) }),
    "tokenizer.ggml.add_bos_token": flag(begin !== undefined),
  };
};

/** A tokenizer in the format of a file. */
export interface WrittenText {
  /** Tokens by id. */
  readonly tokens: readonly string[];
  readonly fields: Readonly<Record<string, TypedValue>>;
}

/**
 * The fields of a model's tokenizer, chat template and end tokens.
 * @throws ConfigError with the tokenizer's type, if llama.cpp does not support the tokenizer.
 */
export const textFields = (facts: TextFacts): WrittenText => {
  const { model, tokens, types: kinds, rest, never } = vocabularyOf(facts);
  const seen = new Map<string, number>();
  for (const [id, token] of tokens.entries()) {
    const other = seen.get(token);
    if (other !== undefined)
      fail(facts.where, "tokens of a GGUF file must be unique", `${show(token)} with ids ${other} and ${id}`);
    seen.set(token, id);
  }
  const fields: Readonly<Record<string, TypedValue>> = {
    "tokenizer.ggml.model": text(model),
    "tokenizer.ggml.tokens": texts(tokens),
    "tokenizer.ggml.token_type": i32s(kinds),
    "tokenizer.ggml.add_space_prefix": flag(false),
    ...rest,
    ...idFields(facts, never, model),
    ...(facts.chatTemplate === null ? {} : { "tokenizer.chat_template": text(facts.chatTemplate.template) }),
  };
  return { tokens, fields };
};
