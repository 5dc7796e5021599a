/** A tokenizer and what belongs to it as fields of a GGUF file; ../tokenizer.ts reads them. */
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

/** What a file says of text. */
export type TextFacts = Pick<Pretrained, "tokenizer" | "chatTemplate" | "endTokens" | "vocabSize" | "where">;

/** Kinds of tokens in a file. */
const types = { normal: 1, control: 3, named: 4, unused: 5 } as const;

/** Tokens by id, with the kind of each. */
interface Vocabulary {
  readonly model: string;
  readonly tokens: readonly string[];
  readonly types: readonly number[];
  readonly rest: Readonly<Record<string, TypedValue>>;
  /** A token that no text has, for a file that must name one where the model has no end of text. */
  readonly never?: number;
}

const fail = (where: string, must: string, got: string, hint?: string): never => {
  throw new ConfigError({ where, must, got, ...(hint === undefined ? {} : { hint }) });
};

/** Fills ids without a token. */
const padded = (tokens: readonly string[], vocabSize: number): readonly string[] =>
  Array.from({ length: vocabSize }, (_, id) => tokens[id] || `[PAD${id}]`);

/**
 * One token for each character. llama.cpp has no such kind; its tokenizer of RWKV takes the longest token that the rest of a
 * text begins with, which is the same where tokens are single characters. It is also the one for which llama.cpp supposes
 * no end of a text where a file names none: for byte-level BPE it supposes id 11, which is some character here.
 */
const charVocabulary = (tokenizer: Tokenizer, vocabSize: number, where: string): Vocabulary => {
  const { characters, specialNames } = charVocabularyFromJson(tokenizer.toJSON(), where);
  const tokens = padded([...characters, ...specialNames].map(escapeToken), vocabSize);
  const known = characters.length + specialNames.length;
  return {
    ...{ model: "rwkv", tokens },
    // llama.cpp ends its process for a character without a token, and already at the start where a line's end has none.
    rest: { "tokenizer.ggml.unknown_token_id": u32(Math.max(0, characters.indexOf(" "))) },
    types: tokens.map((_, id) => (id < characters.length ? types.normal : id < known ? types.control : types.unused)),
  };
};

/** Bytes that UTF-8 never has. */
const impossibleBytes = [0xff, 0xfe, 0xfd, 0xfc, 0xfb, 0xfa, 0xf9, 0xf8, 0xf7, 0xf6, 0xf5, 0xc1, 0xc0];

const bpeVocabulary = (parts: BpeParts, vocabSize: number, where: string): Vocabulary => {
  const pre = preTokenizerNamed(parts);
  if (pre === undefined) {
    const { pattern, ignoreMerges, normalizer } = parts;
    const got = [`pattern ${pattern}`, ...(ignoreMerges ? ["ignore_merges"] : []), normalizer ?? "no normalizer"];
    return fail(where, "the tokenizer must have rules that llama.cpp has a name for", got.join(", "));
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

/** The kind of a tokenizer in words, for an error. */
const kindInWords = (tokenizer: Tokenizer): string => {
  if (tokenizer.kind === "none") return "a model without a tokenizer that is read";
  const json: unknown = tokenizer.toJSON();
  const model = isRecord(json) && isRecord(json.model) && typeof json.model.type === "string" ? json.model.type : "";
  return `a tokenizer of the kind ${model === "" ? tokenizer.kind : model}`;
};

const vocabularyOf = ({ tokenizer, vocabSize, where }: TextFacts): Vocabulary => {
  if (tokenizer.kind === "char") return charVocabulary(tokenizer, vocabSize, where);
  if (tokenizer.kind === "bpe") return bpeVocabulary(bpePartsOf(tokenizer.toJSON(), where), vocabSize, where);
  if (isSentencePiece(tokenizer)) return sentencePieceFields(tokenizer.parts, vocabSize, where);
  const must = "the tokenizer of a GGUF file must be byte-level BPE, SentencePiece or of characters";
  return fail(where, must, kindInWords(tokenizer));
};

/** Ids that end a text, of which a file has room for three: eos, eot and eom. */
export interface WrittenEnds {
  readonly kept: readonly number[];
  /** Ids without room. */
  readonly leftOut: readonly number[];
}

/**
 * The ids that end a text in a file. A chat template's eos token is the file's: it goes first. But one that does not end the
 * model's texts is none, unless the template writes it, or there is no other.
 */
export const writtenEnds = ({ tokenizer, chatTemplate, endTokens, vocabSize }: TextFacts): WrittenEnds => {
  const own = [...endTokens, ...(tokenizer.endOfText === null ? [] : [tokenizer.endOfText])];
  const named = tokenizer.specialTokens.find(({ name }) => name === chatTemplate?.eosToken)?.id;
  const isWritten = chatTemplate?.template.includes("eos_token") === true;
  const first = named !== undefined && (own.includes(named) || isWritten || own.length === 0) ? [named] : [];
  const ids = [...new Set([...first, ...own])].filter((id) => id < vocabSize);
  return { kept: ids.slice(0, 3), leftOut: ids.slice(3) };
};

/** Ids of tokens that begin and end a text. */
const idFields = (facts: TextFacts, never: number | undefined, model: string): Readonly<Record<string, TypedValue>> => {
  const { tokenizer, chatTemplate, where } = facts;
  const idOf = (name: string | undefined): number | undefined =>
    tokenizer.specialTokens.find((special) => special.name === name)?.id;
  const begin = tokenizer.beginOfText ?? undefined;
  const { kept: known } = writtenEnds(facts);
  const standIn = known.length === 0 ? never : undefined;
  const [eos = standIn, eot, eom] = known;
  if (eos === undefined && model !== "rwkv") {
    const must = "the tokenizer must have an end of text, or a token for a byte that no text has";
    return fail(where, must, "neither: llama.cpp would take an ordinary token for the end");
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

/** A tokenizer in a file. */
export interface WrittenText {
  /** By id. */
  readonly tokens: readonly string[];
  readonly fields: Readonly<Record<string, TypedValue>>;
}

/**
 * The fields of a model's tokenizer.
 * @throws ConfigError for a tokenizer that llama.cpp has no form of, by its kind.
 */
export const textFields = (facts: TextFacts): WrittenText => {
  const { model, tokens, types: kinds, rest, never } = vocabularyOf(facts);
  const seen = new Map<string, number>();
  for (const [id, token] of tokens.entries()) {
    const other = seen.get(token);
    if (other !== undefined)
      fail(facts.where, "tokens of a GGUF file must differ", `${show(token)}: ${other} and ${id}`);
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
