import fc from "fast-check";
import { expect, it } from "vitest";
import { DataError } from "#foretoken/core/errors/errors.js";
import { countCharacters } from "#foretoken/data/corpus.js";
import { measureTokens } from "#foretoken/evaluate/evaluate.js";
import { charTokenizer, trainCharTokenizer } from "#foretoken/tokenizer/char.js";
import { byteTokenizer } from "../support/byte-tokenizer.ts";
import { codePoint } from "../support/code-points.ts";

it("counts characters and bytes of all tokens but the first, as the text itself has them", () => {
  fc.assert(
    fc.property(fc.string({ unit: "grapheme", minLength: 1 }), (text) => {
      const tokenizer = trainCharTokenizer(text);
      const ids = tokenizer.encode(text);
      const predicted = tokenizer.decode(ids.subarray(1));
      expect(measureTokens(ids, tokenizer)).toEqual({
        ids,
        characters: countCharacters(predicted),
        bytes: new TextEncoder().encode(predicted).length,
      });
    }),
  );
});

it("counts what tokens cover that cut characters: each byte once, and a character where its first byte is", () => {
  const text = fc.string({ unit: codePoint, minLength: 1, maxLength: 60 });
  fc.assert(
    fc.property(text, fc.integer({ min: 1, max: 5 }), (sample, size) => {
      const tokenizer = byteTokenizer(sample, size);
      const ids = tokenizer.encode(sample);
      const all = new TextEncoder().encode(sample);
      const first = tokenizer.bytes(ids[0] ?? 0);
      const { characters, bytes } = measureTokens(ids, tokenizer);
      expect(bytes).toBe(all.length - first.length);
      // All characters except the characters that begin in the first token. Nothing predicts the first token.
      let begun = 0;
      for (let at = 0, character = 0; at < first.length; character++) {
        begun++;
        at += new TextEncoder().encode([...sample][character]).length;
      }
      expect(characters).toBe(countCharacters(sample) - begun);
    }),
  );
});

it("counts no bytes for a special token", () => {
  const tokenizer = byteTokenizer("é", 1);
  const ids = Int32Array.of(...tokenizer.encode("aé"), tokenizer.endOfText ?? 0, ...tokenizer.encode("b"));
  expect(measureTokens(ids, tokenizer)).toEqual({ ids, characters: 2, bytes: 3 });
});

it("puts no text together: a hundred million tokens of it would not fit into a string", () => {
  const tokenizer = charTokenizer(["a", "🐋"]);
  const asked: number[] = [];
  const watched = {
    ...tokenizer,
    decode: () => expect.fail("no decoding"),
    token: () => expect.fail("no decoding"),
    bytes: (id: number) => {
      asked.push(id);
      return tokenizer.bytes(id);
    },
  };
  const ids = new Int32Array(1_000_001).fill(1, 500_001);
  const { ids: measured, ...counts } = measureTokens(ids, watched);
  expect(measured).toBe(ids);
  expect(counts).toEqual({ characters: 1_000_000, bytes: 500_000 + 4 * 500_000 });
  expect(asked).toEqual([0, 1]);
});

it.each([-1, 2])("refuses an id that the tokenizer lacks: %i", (id) => {
  expect(() => measureTokens(Int32Array.of(0, id), charTokenizer(["a", "b"]))).toThrow(DataError);
});

it("encodes without a copy where every character is one unit", () => {
  const tokenizer = trainCharTokenizer("ab🐋");
  expect(tokenizer.encode("abba").buffer.byteLength).toBe(16);
  expect([...tokenizer.encode("a🐋b")]).toEqual([0, 2, 1]);
});
