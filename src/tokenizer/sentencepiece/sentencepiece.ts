/**
 * SentencePiece tokenizers: byte-pair encoding by scores or by merges, and Unigram. Spaces are replaced by ▁, and a
 * text need not be split into words. A character without a token becomes byte tokens. Source: Kudo and Richardson 2018,
 * "SentencePiece: A simple and language independent subword tokenizer and detokenizer for Neural Text Processing".
 */
import { checkText } from "../../core/checks/check-arguments.ts";
import { CheckpointError, DataError } from "../../core/errors/errors.ts";
import { show } from "../../core/text/show.ts";
import { appendId, type IdList } from "../bpe/encoder.ts";
import { mostTokens } from "../bpe/vocabulary.ts";
import { nameFinder } from "../names-in-text.ts";
import { decodeTokens } from "../text-stream.ts";
import type { SpecialToken, Tokenizer } from "../tokenizer.ts";
import { describeCharacters } from "../unknown.ts";
import { checkWellFormed } from "../well-formed.ts";
import { type EncodeStretch, rulesOf, stretchEncoder } from "./encoder.ts";
import { byteOf, kinds, type SentencePieceParts, type Vocabulary, vocabularyOf } from "./parts.ts";
import { spaceSign } from "./space-sign.ts";
import { prepared, type StretchPlace } from "./steps.ts";
import { sentencePieceToJson } from "./to-json.ts";

/** A SentencePiece tokenizer. */
export interface SentencePieceTokenizer extends Tokenizer {
  readonly kind: "sentencepiece";
  /** The parts from which the tokenizer was made. */
  readonly parts: SentencePieceParts;
}

export const isSentencePiece = (tokenizer: Tokenizer): tokenizer is SentencePieceTokenizer =>
  tokenizer.kind === "sentencepiece";

/** @throws CheckpointError for lists of the wrong length, or a score that is not a finite number. */
const checkParts = ({ division, tokens, kinds: kindOf }: SentencePieceParts, where: string): void => {
  const count = tokens.length;
  const fail = (must: string, got: unknown): never => {
    throw new CheckpointError({ where, must, got: show(got) });
  };
  if (count === 0 || count > mostTokens) fail(`the vocabulary must have 1 to ${mostTokens} tokens`, count);
  if (kindOf.length !== count) fail(`there must be a type for each of the ${count} tokens`, kindOf.length);
  for (let id = 0; id < count; id++) {
    const kind = kindOf[id] as number;
    if (!(kind >= kinds.normal && kind <= kinds.byte)) {
      fail(`the type of token ${id} must be a number from 1 to 6`, kind);
    }
  }
  if (division.kind === "merges") return;
  const { scores } = division;
  if (scores.length !== count) fail(`there must be a score for each of the ${count} tokens`, scores.length);
  for (let id = 0; id < count; id++) {
    if (!Number.isFinite(scores[id])) fail(`the score of token ${id} must be a finite number`, scores[id]);
  }
};

/** Tokens of one or two kinds, with their names. */
const namesOf = ({ tokens, kinds: kindOf }: SentencePieceParts, one: number, other = one): readonly SpecialToken[] => {
  const found: SpecialToken[] = [];
  for (let id = 0; id < tokens.length; id++) {
    const name = tokens[id] as string;
    if ((kindOf[id] === one || kindOf[id] === other) && name !== "") found.push({ id, name });
  }
  return found;
};

/**
 * A check for characters without a token. Undefined if byte tokens or an unknown token can represent such characters.
 */
const unknownCheck = ({ bytes, unknown, ids }: Vocabulary) => {
  if (bytes !== undefined || unknown !== undefined) return undefined;
  const known = new Set([...ids.keys()].filter((text) => text.length <= 2));
  return (text: string, where: string): void => {
    const characters = [...new Set(text)].filter((character) => !known.has(character));
    if (characters.length === 0) return;
    const must = "every character must have a token in the vocabulary";
    throw new DataError({ where, must, got: describeCharacters(characters), characters });
  };
};

const noBytes = new Uint8Array();

/** Function that returns the bytes of a token. */
const bytesOfTokens = ({ tokens, kinds: kindOf }: SentencePieceParts): ((id: number) => Uint8Array) => {
  const made = new Array<Uint8Array | undefined>(tokens.length).fill(undefined);
  const encoder = new TextEncoder();
  const make = (id: number): Uint8Array => {
    const [token, kind] = [tokens[id] as string, kindOf[id]];
    if (kind === kinds.control || kind === kinds.unknown) return noBytes;
    const byte = kind === kinds.byte ? byteOf(token) : undefined;
    return byte === undefined ? encoder.encode(token.replaceAll(spaceSign, " ")) : Uint8Array.of(byte);
  };
  return (id) => {
    if (!Number.isInteger(id) || id < 0 || id >= tokens.length) {
      const must = `a token id must be an integer from 0 to ${tokens.length - 1}`;
      throw new DataError({ where: "decode", must, got: show(id) });
    }
    const known = made[id] ?? make(id);
    made[id] = known;
    return known;
  };
};

/**
 * Makes a tokenizer from its parts.
 * @param where the source file, for errors.
 * @param json the `tokenizer.json` that contains the parts. If it is undefined, `toJSON` generates a `tokenizer.json`.
 * @throws CheckpointError for damaged scores or types, or missing byte tokens.
 */
export const sentencePieceTokenizer = (
  parts: SentencePieceParts,
  where: string,
  json?: unknown,
): SentencePieceTokenizer => {
  checkParts(parts, where);
  const { tokens, steps, dropsFirstSpace, endOfText, beginOfText } = parts;
  const vocabulary = vocabularyOf(parts, where);
  const rules = parts.division.kind === "merges" ? rulesOf(parts, vocabulary, where) : undefined;
  const specialTokens = namesOf(parts, kinds.control, kinds.unknown);
  const names = new Map(specialTokens.map(({ id, name }) => [id, name]));
  const findNames = nameFinder(namesOf(parts, kinds.userDefined));
  const checkUnknown = unknownCheck(vocabulary);
  const bytes = bytesOfTokens(parts);
  const placeAfter = (before: string): StretchPlace => {
    if (before === "") return "first";
    return specialTokens.some(({ name }) => before.endsWith(name)) ? "afterToken" : "inside";
  };
  /** The encoder, created when a text is first encoded. */
  let encodeStretch: EncodeStretch | undefined;

  const encode = (text: string, name = "text", before = ""): Int32Array => {
    checkText("encode: where", name);
    checkText("encode: before", before);
    checkText(name, text);
    checkWellFormed(name, text, before);
    encodeStretch ??= stretchEncoder(parts, vocabulary, rules);
    // Estimate for most texts: a token has three or four characters.
    const out: IdList = { ids: new Int32Array(16 + Math.ceil(text.length / 3)), length: 0 };
    let place = placeAfter(before);
    for (const stretch of findNames(text)) {
      if (stretch.id === undefined) {
        const ready = prepared(steps, stretch.text, place);
        checkUnknown?.(ready, name);
        encodeStretch(ready, out);
      } else appendId(out, stretch.id);
      place = stretch.id === undefined ? "inside" : "afterToken";
    }
    return out.ids.slice(0, out.length);
  };

  return {
    kind: "sentencepiece",
    parts,
    vocabSize: tokens.length,
    specialTokens,
    endOfText,
    beginOfText,
    encode,
    decode: (ids, options) => {
      const text = decodeTokens({ bytes, specialTokens }, ids, options);
      // Removes the space that such tokenizers add before a text.
      return dropsFirstSpace && text.startsWith(" ") ? text.slice(1) : text;
    },
    bytes,
    token: (id) => {
      const own = bytes(id);
      return names.get(id) ?? new TextDecoder("utf-8", { ignoreBOM: true }).decode(own);
    },
    toJSON: () => json ?? sentencePieceToJson(parts),
  };
};
