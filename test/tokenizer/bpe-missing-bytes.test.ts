import { describe, expect, it } from "vitest";
import type { DataError } from "#foretoken/core/errors/errors.js";
import { bpeTokenizer } from "#foretoken/tokenizer/bpe/bpe.js";
import { characterOfByte } from "#foretoken/tokenizer/bpe/byte-alphabet.js";
import { readText } from "#foretoken/tokenizer/unknown.js";

describe("a byte-level vocabulary without all bytes", () => {
  // Byte 0xF1 begins characters from U+40000 on. Byte 4 is a control character.
  const lacking = [4, 0xf1];
  const tokens = characterOfByte.filter((_, byte) => !lacking.includes(byte));
  const tokenizer = bpeTokenizer({ tokens, merges: [], pattern: "gpt2", specialTokens: [] });

  it("has tokens for texts without them", () => {
    expect(tokenizer.decode(tokenizer.encode("grüße 🙂"))).toBe("grüße 🙂");
  });

  it("refuses a text with one, and names each character once", () => {
    const encode = (): unknown => tokenizer.encode("a\u0004b\u{40000}c\u0004", "prompt");
    expect(encode).toThrow(
      /^prompt: every character must have a token in the vocabulary; got "\\u0004" \(U\+0004\), U\+40000$/,
    );
    const error = (() => {
      try {
        return encode();
      } catch (thrown) {
        return thrown;
      }
    })();
    expect((error as DataError).details.characters).toEqual(["\u0004", "\u{40000}"]);
  });

  it("reads a text without them, where that is wanted", () => {
    const { text, skipped } = readText(tokenizer, "a\u0004b", "skip", "prompt", "");
    expect([text, skipped?.count]).toEqual(["ab", 1]);
  });
});
