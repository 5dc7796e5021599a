import { checkBoolean, checkKeys, checkTokenBytes } from "../core/checks/check-arguments.ts";
import { DataError } from "../core/errors/errors.ts";
import { show } from "../core/text/show.ts";
import type { DecodeOptions, Tokenizer } from "./tokenizer.ts";

/** Turns tokens into text as they come: the text from `push` is final and can be printed at once. */
export interface TextStream {
  /**
   * The text that `id` completes; empty while a character lacks bytes.
   * @throws DataError for an id outside the vocabulary.
   */
  push(id: number): string;
  /** The rest when no token follows: U+FFFD if a character still lacks bytes. */
  end(): string;
}

/** The part of a tokenizer that turns tokens into text. */
export type TokenBytes = Pick<Tokenizer, "bytes" | "specialTokens">;

/** The bytes of a token, shown by `options`. */
const shownBytes = (
  { bytes, specialTokens }: TokenBytes,
  { showSpecialTokens = false }: DecodeOptions = {},
): ((id: number) => Uint8Array) => {
  if (!showSpecialTokens) return bytes;
  const encoder = new TextEncoder();
  const names = new Map(specialTokens.map(({ id, name }): [number, Uint8Array] => [id, encoder.encode(name)]));
  return (id) => names.get(id) ?? bytes(id);
};

/** A byte order mark in a text is text. */
const createDecoder = (): TextDecoder => new TextDecoder("utf-8", { ignoreBOM: true });

/** @throws ConfigError for options of decoding that are none. */
export const checkDecodeOptions = (where: string, options: DecodeOptions): void => {
  checkKeys(where, options, ["showSpecialTokens"]);
  checkBoolean(`${where}: showSpecialTokens`, options.showSpecialTokens);
};

/**
 * Turns tokens into text one by one, as generation does: the pushed pieces, joined with `end`, are `decode` of all the
 * ids.
 * @param tokenizer of the tokens.
 * @param options as of `decode`.
 */
export const textStream = (tokenizer: TokenBytes, options: DecodeOptions = {}): TextStream => {
  checkTokenBytes("textStream: tokenizer", tokenizer);
  checkDecodeOptions("textStream", options);
  const bytesOf = shownBytes(tokenizer, options);
  const decoder = createDecoder();
  return {
    push: (id) => decoder.decode(bytesOf(id), { stream: true }),
    end: () => decoder.decode(),
  };
};

/** Bytes that are decoded at a time: a list of single characters would take many times the memory of the text. */
const blockBytes = 2 ** 16;

const checkIds = (ids: unknown): void => {
  if (typeof ids === "object" && ids !== null && Symbol.iterator in ids) return;
  throw new DataError({ where: "decode", must: "the argument must be a list of token ids", got: show(ids) });
};

/** `Tokenizer.decode`, made of the tokens' bytes. */
export const decodeTokens = (tokenizer: TokenBytes, ids: Iterable<number>, options: DecodeOptions = {}): string => {
  checkIds(ids);
  checkDecodeOptions("decode", options);
  const bytesOf = shownBytes(tokenizer, options);
  const decoder = createDecoder();
  const block = new Uint8Array(blockBytes);
  let filled = 0;
  let text = "";
  for (const id of ids) {
    const bytes = bytesOf(id);
    if (filled + bytes.length > block.length) {
      text += decoder.decode(block.subarray(0, filled), { stream: true });
      filled = 0;
    }
    if (bytes.length > block.length) text += decoder.decode(bytes, { stream: true });
    else {
      block.set(bytes, filled);
      filled += bytes.length;
    }
  }
  return text + decoder.decode(block.subarray(0, filled));
};

/** Whether a byte of UTF-8 begins a character: the others are 10xxxxxx. */
const beginsCharacter = (byte: number): boolean => (byte & 0xc0) !== 0x80;

/** Number of characters (code points) that begin within these bytes of a text's UTF-8. */
export const charactersBegun = (bytes: Uint8Array): number => {
  let count = 0;
  for (const byte of bytes) if (beginsCharacter(byte)) count++;
  return count;
};

/** `ids` from the first token that begins a character: the end of a text, cut between characters. */
export const fromWholeCharacter = ({ bytes }: TokenBytes, ids: Int32Array): Int32Array => {
  const first = ids.findIndex((id) => beginsCharacter(bytes(id)[0] ?? 0));
  return ids.subarray(first === -1 ? ids.length : first);
};
