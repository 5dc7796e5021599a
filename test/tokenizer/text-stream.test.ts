import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { charTokenizer } from "#foretoken/tokenizer/char.js";
import { fromWholeCharacter, textStream } from "#foretoken/tokenizer/text-stream.js";
import { byteTokenizer } from "../support/byte-tokenizer.ts";
import { codePoint } from "../support/code-points.ts";

const text = fc.string({ unit: codePoint, maxLength: 60 });
const size = fc.integer({ min: 1, max: 5 });

describe("text of tokens that cut characters", () => {
  it("is the text again, all at once and one token after the other, with no character shown before it is whole", () => {
    fc.assert(
      fc.property(text, size, (sample, size) => {
        const tokenizer = byteTokenizer(sample, size);
        const ids = [...tokenizer.encode(sample)];
        expect(tokenizer.decode(ids)).toBe(sample);
        const stream = textStream(tokenizer);
        let shown = "";
        for (const id of ids) {
          shown += stream.push(id);
          expect(sample.startsWith(shown)).toBe(true);
        }
        expect(stream.end()).toBe("");
        expect(shown).toBe(sample);
      }),
    );
  });

  it("is the same in a stream as at once for any ids, also where they make no text", () => {
    const tokenizer = byteTokenizer();
    const id = fc.integer({ min: 0, max: tokenizer.vocabSize - 1 });
    fc.assert(
      fc.property(fc.array(id), fc.boolean(), (ids, showSpecialTokens) => {
        const stream = textStream(tokenizer, { showSpecialTokens });
        const shown = ids.map((one) => stream.push(one)).join("") + stream.end();
        expect(shown).toBe(tokenizer.decode(ids, { showSpecialTokens }));
      }),
    );
  });

  it("is put together in blocks where it is long", () => {
    const long = "aé🐋".repeat(30_000);
    const tokenizer = byteTokenizer("", 1);
    expect(tokenizer.decode(tokenizer.encode(long)) === long).toBe(true);
  });

  it("shows U+FFFD for a character that never gets its last byte", () => {
    const tokenizer = byteTokenizer();
    const ids = [...tokenizer.encode("é")].slice(0, 1);
    const stream = textStream(tokenizer);
    expect([stream.push(ids[0] ?? 0), stream.end()]).toEqual(["", "\ufffd"]);
    expect(tokenizer.decode(ids)).toBe("\ufffd");
  });

  it("keeps a byte order mark, which is text here", () => {
    expect(byteTokenizer().decode(byteTokenizer().encode("\ufeffa"))).toBe("\ufeffa");
  });

  it("can be cut where a character begins", () => {
    const tokenizer = byteTokenizer();
    const ids = tokenizer.encode("a🐋b");
    expect(tokenizer.decode(fromWholeCharacter(tokenizer, ids.subarray(2)))).toBe("b");
    expect(tokenizer.decode(fromWholeCharacter(tokenizer, ids.subarray(1)))).toBe("🐋b");
    expect(fromWholeCharacter(tokenizer, ids.subarray(2, 4))).toHaveLength(0);
  });
});

describe("special tokens", () => {
  const tokenizer = charTokenizer([..."ab"], ["<|endoftext|>", "<|system|>"]);
  const ids = [0, 2, 1, 3];

  it("are no text unless they are asked for, by their names", () => {
    expect(tokenizer.decode(ids)).toBe("ab");
    expect(tokenizer.decode(ids, { showSpecialTokens: true })).toBe("a<|endoftext|>b<|system|>");
    expect(tokenizer.token(3)).toBe("<|system|>");
    expect(tokenizer.bytes(2)).toHaveLength(0);
  });

  it("have ids after the characters, and one is the end of text", () => {
    expect(tokenizer.vocabSize).toBe(4);
    expect(tokenizer.specialTokens).toEqual([
      { id: 2, name: "<|endoftext|>" },
      { id: 3, name: "<|system|>" },
    ]);
    expect(tokenizer.endOfText).toBe(2);
    expect(charTokenizer([..."ab"], ["<|system|>"]).endOfText).toBeNull();
  });

  it("leave the bytes around them together, in a stream too", () => {
    const bytes = byteTokenizer();
    const [first = 0, ...others] = bytes.encode("é");
    expect(bytes.decode([first, bytes.endOfText ?? 0, ...others])).toBe("é");
  });
});
