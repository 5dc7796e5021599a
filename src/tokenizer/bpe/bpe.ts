/**
 * Byte-level byte-pair encoding. The UTF-8 bytes of a text are split into pieces. In each piece, pairs of tokens are
 * merged in a fixed order. If every byte has a token, every text can be encoded and decoded without loss. The method is
 * by Sennrich et al. 2016, "Neural Machine Translation of Rare Words with Subword Units". As in GPT-2, it is applied to
 * bytes.
 */
import { checkText } from "../../core/checks/check-arguments.ts";
import { CheckpointError, DataError } from "../../core/errors/errors.ts";
import { show } from "../../core/text/show.ts";
import { nameFinder } from "../names-in-text.ts";
import { decodeTokens } from "../text-stream.ts";
import type { SpecialToken, Tokenizer } from "../tokenizer.ts";
import { endOfTextName } from "../tokenizer-json.ts";
import { checkWellFormed } from "../well-formed.ts";
import { bpeToJson } from "./bpe-json.ts";
import { fromAlphabet } from "./byte-alphabet.ts";
import { appendId, bytesEncoder, type EncodeBytes, type IdList } from "./encoder.ts";
import { missingBytesCheck } from "./missing-bytes.ts";
import { type BpeParts, checkParts } from "./parts.ts";
import { pieceTable } from "./piece-table.ts";
import type { SplitPattern } from "./split/patterns.ts";
import { nextPieceOf } from "./split/split.ts";
import { idsOf, idsOfBytes, mergesOf, mostTokens } from "./vocabulary.ts";

/** A byte-level BPE tokenizer. */
export interface BpeTokenizer extends Tokenizer {
  readonly kind: "bpe";
  /** Rules that split a text into pieces. */
  readonly pattern: SplitPattern;
  /** Number of merges. */
  readonly mergeCount: number;
}

const byId = (a: SpecialToken, b: SpecialToken): number => a.id - b.id;

/** @throws CheckpointError for an id that another token has, or an id far above the number of tokens. */
const checkNamed = (tokens: readonly string[], named: readonly SpecialToken[], where: string): void => {
  const names = new Map<number, string>();
  for (const { id, name } of named) {
    const bad = (must: string): never => {
      throw new CheckpointError({ where, must, got: `${show(name)}: ${show(id)}` });
    };
    if (!Number.isInteger(id) || id < 0 || id >= 2 * (tokens.length + named.length)) {
      bad("ids of special and added tokens must be whole numbers that follow the vocabulary's ids");
    }
    if (typeof name !== "string" || name === "") bad("special and added tokens must have names");
    if (names.has(id)) bad(`every token must have its own id; ${show(names.get(id))} has the same id`);
    if (id < tokens.length && tokens[id] !== name && tokens[id] !== "")
      bad(`token ${id} of the vocabulary is ${show(tokens[id])}`);
    names.set(id, name);
  }
  if (tokens.length + named.length > mostTokens) {
    const got = String(tokens.length + named.length);
    throw new CheckpointError({ where, must: `the vocabulary must have at most ${mostTokens} tokens`, got });
  }
};

const noBytes = new Uint8Array();

/**
 * A table that finds the token of a whole piece by its bytes. @param bytes bytes of a token. A token with no bytes is
 * left out.
 */
const wholeTokens = (count: number, bytes: (id: number) => Uint8Array) => {
  const pieces = pieceTable();
  const ids: number[] = [];
  for (let id = 0; id < count; id++) {
    const piece = bytes(id);
    const index = piece.length === 0 ? -1 : pieces.add(piece, 0, piece.length);
    if (index === ids.length) ids.push(id);
  }
  return { pieces, ids: Int32Array.from(ids) };
};

/**
 * Makes a tokenizer from a vocabulary and its merges.
 * @param where the source file, for errors.
 * @throws ConfigError for parts of the wrong type.
 * @throws CheckpointError for a vocabulary without byte tokens, a merge of unknown tokens, or an id that two tokens
 * share.
 */
export const bpeTokenizer = (parts: BpeParts, where = "tokenizer"): BpeTokenizer => {
  checkText("bpeTokenizer: where", where);
  checkParts("bpeTokenizer: parts", parts);
  const { tokens, pattern, namedTokens = [], ignoreMerges = false, normalizer } = parts;
  const specialTokens = [...parts.specialTokens].sort(byId);
  const named = [...specialTokens, ...namedTokens];
  checkNamed(tokens, named, where);
  const nameById = new Map(named.map(({ id, name }) => [id, name]));
  const isSpecial = new Set(specialTokens.map(({ id }) => id));
  const vocabSize = named.reduce((size, { id }) => Math.max(size, id + 1), tokens.length);
  const ids = idsOf(tokens);
  const idOfByte = idsOfBytes(ids, where);
  const merges = mergesOf(parts.merges, ids, where);
  const bytesById = new Array<Uint8Array | undefined>(vocabSize).fill(undefined);
  const textEncoder = new TextEncoder();
  const findNames = nameFinder(namedTokens);
  const checkBytes = missingBytesCheck(idOfByte);
  const normalized = (text: string): string => (normalizer === undefined ? text : text.normalize(normalizer));

  const checkId = (id: number): void => {
    if (Number.isInteger(id) && id >= 0 && id < vocabSize) return;
    const must = `a token id must be an integer from 0 to ${vocabSize - 1}`;
    throw new DataError({ where: "decode", must, got: show(id) });
  };

  const makeBytes = (id: number): Uint8Array => {
    if (isSpecial.has(id)) return new Uint8Array();
    const name = nameById.get(id);
    if (name !== undefined) return textEncoder.encode(name);
    const token = tokens[id] ?? "";
    return fromAlphabet(token) ?? textEncoder.encode(token);
  };

  const bytes = (id: number): Uint8Array => {
    checkId(id);
    const known = bytesById[id];
    if (known !== undefined) return known;
    const made = makeBytes(id);
    bytesById[id] = made;
    return made;
  };

  const token = (id: number): string => {
    checkId(id);
    return nameById.get(id) ?? new TextDecoder("utf-8", { ignoreBOM: true }).decode(bytes(id));
  };

  /** The encoder, created when a text is first encoded. */
  let encodeBytes: EncodeBytes | undefined;
  const encodeText = (text: string, out: IdList): void => {
    encodeBytes ??= bytesEncoder({
      nextPiece: nextPieceOf(pattern),
      merges,
      idOfByte,
      whole: ignoreMerges ? wholeTokens(tokens.length, (id) => (nameById.has(id) ? noBytes : bytes(id))) : undefined,
    });
    const utf8 = textEncoder.encode(normalized(text));
    encodeBytes(utf8, 0, utf8.length, out);
  };

  const encode = (text: string, name = "text", before = ""): Int32Array => {
    checkText("encode: where", name);
    checkText("encode: before", before);
    checkText(name, text);
    checkWellFormed(name, text, before);
    checkBytes?.(normalized(text), name);
    // Estimate for most texts: a token has three or four bytes.
    const out: IdList = { ids: new Int32Array(16 + Math.ceil(text.length / 3)), length: 0 };
    for (const stretch of findNames(text)) {
      if (stretch.id === undefined) encodeText(stretch.text, out);
      else appendId(out, stretch.id);
    }
    return out.ids.slice(0, out.length);
  };

  const endOfText =
    parts.endOfText === undefined
      ? (specialTokens.find(({ name }) => name === endOfTextName)?.id ?? null)
      : parts.endOfText;

  return {
    kind: "bpe",
    vocabSize,
    pattern,
    mergeCount: merges.ranks.size,
    specialTokens,
    endOfText,
    encode,
    decode: (tokenIds, options) => decodeTokens({ bytes, specialTokens }, tokenIds, options),
    bytes,
    token,
    toJSON: () => bpeToJson({ ...parts, specialTokens, ignoreMerges, normalizer, namedTokens }),
  };
};
