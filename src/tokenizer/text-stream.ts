import { checkBoolean, checkKeys, checkTokenBytes } from "../core/checks/check-arguments.ts";
import { DataError } from "../core/errors/errors.ts";
import { show } from "../core/text/show.ts";
import type { DecodeOptions, Tokenizer } from "./tokenizer.ts";

/** Converts tokens to text as they arrive. Text from `push` is final and can be printed at once. */
export interface TextStream {
  /**
   * Returns the text that `id` completes. The result is empty while a character is incomplete.
   * @throws DataError for an id outside the vocabulary.
   */
  push(id: number): string;
  /**
   * Returns the remaining text after the last token. The result is U+FFFD if a character is still incomplete, and empty
   * otherwise.
   */
  end(): string;
}

/** The methods of a tokenizer that convert tokens to text. */
export type TokenBytes = Pick<Tokenizer, "bytes" | "specialTokens">;

/** Returns the bytes of a token, as `options` require. */
const shownBytes = (
  { bytes, specialTokens }: TokenBytes,
  { showSpecialTokens = false }: DecodeOptions = {},
): ((id: number) => Uint8Array) => {
  if (!showSpecialTokens) return bytes;
  const encoder = new TextEncoder();
  const names = new Map(specialTokens.map(({ id, name }): [number, Uint8Array] => [id, encoder.encode(name)]));
  return (id) => names.get(id) ?? bytes(id);
};

/** Keeps a byte order mark, because it is part of the text. */
const createDecoder = (): TextDecoder => new TextDecoder("utf-8", { ignoreBOM: true });

/** @throws ConfigError for invalid decoding options. */
export const checkDecodeOptions = (where: string, options: DecodeOptions): void => {
  checkKeys(where, options, ["showSpecialTokens"]);
  checkBoolean(`${where}: showSpecialTokens`, options.showSpecialTokens);
};

/**
 * Converts tokens to text one at a time, as in generation. The texts from `push` and the text from `end`, concatenated,
 * equal `decode` of all ids.
 * @param tokenizer tokenizer of the tokens.
 * @param options as for `decode`.
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

/**
 * Number of bytes that are decoded at once. A list of single characters would take many times the memory of the text.
 */
const blockBytes = 2 ** 16;

const checkIds = (ids: unknown): void => {
  if (typeof ids === "object" && ids !== null && Symbol.iterator in ids) return;
  throw new DataError({ where: "decode", must: "the argument must be a list of token ids", got: show(ids) });
};

/** Implements `Tokenizer.decode` with the tokens' bytes. */
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

/** Whether a UTF-8 byte begins a character. Bytes that continue a character are 10xxxxxx. */
const beginsCharacter = (byte: number): boolean => (byte & 0xc0) !== 0x80;

/** Number of characters (code points) that begin within these UTF-8 bytes. */
export const charactersBegun = (bytes: Uint8Array): number => {
  let count = 0;
  for (const byte of bytes) if (beginsCharacter(byte)) count++;
  return count;
};

/**
 * Removes tokens at the start of `ids` until a token begins a character. The remaining text then starts with a whole
 * character.
 */
export const fromWholeCharacter = ({ bytes }: TokenBytes, ids: Int32Array): Int32Array => {
  const first = ids.findIndex((id) => beginsCharacter(bytes(id)[0] ?? 0));
  return ids.subarray(first === -1 ? ids.length : first);
};
