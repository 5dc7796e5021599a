import fc from "fast-check";
import { expect, it } from "vitest";
import { DataError } from "#foretoken/core/errors.js";
import { countCharacters } from "#foretoken/data/corpus.js";
import { charTokenizer, trainCharTokenizer } from "#foretoken/tokenizer/char.js";
import { measureTokens } from "#foretoken/train/evaluate.js";

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

it("puts no text together: a hundred million tokens of it would not fit into a string", () => {
  const tokenizer = charTokenizer(["a", "🐋"]);
  const asked: number[] = [];
  const watched = {
    ...tokenizer,
    decode: () => expect.fail("no decoding"),
    token: (id: number) => {
      asked.push(id);
      return tokenizer.token(id);
    },
  };
  const ids = new Int32Array(1_000_001).fill(1, 500_001);
  expect(measureTokens(ids, watched)).toEqual({ ids, characters: 1_000_000, bytes: 500_000 + 4 * 500_000 });
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
