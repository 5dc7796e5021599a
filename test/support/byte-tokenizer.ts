import { DataError } from "#foretoken/core/errors/errors.js";
import { decodeTokens } from "#foretoken/tokenizer/text-stream.js";
import type { Tokenizer } from "#foretoken/tokenizer/tokenizer.js";

const endOfTextName = "<|endoftext|>";

/**
 * A tokenizer with tokens that may cut characters, as byte-level tokens do. The tokenizer cuts the text's UTF-8 into
 * pieces of `size` bytes. Ids 0 to 255 are the single bytes. The next ids are the pieces of `text`. The last id is the
 * end of text.
 */
export const byteTokenizer = (text = "", size = 1): Tokenizer => {
  const encoder = new TextEncoder();
  const key = (bytes: Uint8Array): string => bytes.join();
  const pieces: Uint8Array[] = [];
  const ids = new Map<string, number>();
  const learn = (bytes: Uint8Array): void => {
    if (!ids.has(key(bytes))) ids.set(key(bytes), pieces.push(bytes) - 1);
  };
  const cut = (all: Uint8Array, from: number): Uint8Array => all.slice(from, from + size);
  for (let byte = 0; byte < 256; byte++) learn(Uint8Array.of(byte));
  const taught = encoder.encode(text);
  for (let at = 0; at < taught.length; at += size) learn(cut(taught, at));
  const endOfText = pieces.push(new Uint8Array()) - 1;
  const specialTokens = [{ id: endOfText, name: endOfTextName }];

  const bytes = (id: number): Uint8Array => {
    const piece = pieces[id];
    if (piece === undefined) throw new DataError({ where: "decode", must: "the id must be known", got: String(id) });
    return piece;
  };
  return {
    kind: "byte",
    vocabSize: pieces.length,
    specialTokens,
    endOfText,
    encode(given) {
      const all = encoder.encode(given);
      const out: number[] = [];
      for (let at = 0; at < all.length; at += size) {
        const id = ids.get(key(cut(all, at)));
        // An unknown piece is encoded byte by byte.
        if (id === undefined) out.push(...cut(all, at));
        else out.push(id);
      }
      return Int32Array.from(out);
    },
    decode: (tokens, options) => decodeTokens({ bytes, specialTokens }, tokens, options),
    bytes,
    token: (id) => (id === endOfText ? endOfTextName : new TextDecoder().decode(bytes(id))),
    toJSON: () => ({}),
  };
};
