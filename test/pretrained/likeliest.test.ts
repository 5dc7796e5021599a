import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { likeliestOf, softmaxSum } from "#foretoken/pretrained/model/likeliest.js";
import { charTokenizer } from "#foretoken/tokenizer/char.js";
import { byteTokenizer } from "../support/byte-tokenizer.ts";

const tokenizer = charTokenizer([..."abcdefgh"]);

/** Candidates among the tokens of "abcdefgh". The logits begin at index `from`. */
const likeliest = (logits: readonly number[], most: number, from = 0) =>
  likeliestOf(tokenizer, most)(logits, from, softmaxSum(logits, from, logits.length - from));

const { NEGATIVE_INFINITY: never } = Number;

describe("the most probable tokens", () => {
  it("are the first of all when sorted by probability, then by id, for any logits", () => {
    const logit = fc.oneof(
      fc.constantFrom(never, 0, 1),
      fc.double({ min: -20, max: 20, noNaN: true, noDefaultInfinity: true }),
    );
    const size = tokenizer.vocabSize;
    fc.assert(
      fc.property(
        fc.array(logit, { minLength: size, maxLength: size }),
        fc.integer({ min: 1, max: 10 }),
        (given, most) => {
          const logits = [...given.slice(1), 1];
          const exponentials = logits.map((value) => Math.exp(value));
          const total = exponentials.reduce((sum, value) => sum + value, 0);
          const sorted = logits
            .map((value, id) => ({ id, logit: value, probability: (exponentials[id] as number) / total }))
            .sort((a, b) => (a.logit === b.logit ? a.id - b.id : b.logit - a.logit))
            .slice(0, most);
          const found = likeliest(logits, most);
          expect(found.map(({ id, text }) => [id, text])).toEqual(sorted.map(({ id }) => [id, "abcdefgh"[id]]));
          for (const [place, { probability }] of found.entries()) {
            expect(Math.abs(probability - (sorted[place]?.probability as number))).toBeLessThan(1e-13);
          }
        },
      ),
    );
  });

  it("have probability 0 where the logit is −∞, and 1 where all others are", () => {
    expect(likeliest([never, never, 3, never, never, never, never, never], 3)).toEqual([
      { id: 2, text: "c", probability: 1, logProb: 0 },
      { id: 0, text: "a", probability: 0, logProb: never },
      { id: 1, text: "b", probability: 0, logProb: never },
    ]);
  });

  it("are no rows of an embedding beyond the tokens, which yet count in the sum", () => {
    const found = likeliest([9, 9, 9, 0, 0, 0, 0, 0, 0, 0, 0, 7, 0], 2, 3);
    expect(found.map(({ id }) => id)).toEqual([0, 1]);
    expect(found[0]?.probability).toBeCloseTo(1 / (9 + Math.exp(7)), 12);
  });

  it("are shown alone: a part of a character by its bytes, a special token by its name", () => {
    const bytes = byteTokenizer("é�");
    const end = bytes.endOfText as number;
    const logits = new Float32Array(bytes.vocabSize).fill(-9);
    for (const [place, id] of [0xc3, 0x41, end, 0x0a].entries()) logits[id] = 9 - place;
    const found = likeliestOf(bytes, 4)(logits, 0, softmaxSum(logits, 0, logits.length));
    expect(found.map(({ text }) => text)).toEqual(["<c3>", "A", "<|endoftext|>", "\n"]);
    // Here the replacement character is a character of the vocabulary, and does not replace a byte.
    const whole = byteTokenizer("\ufffd", 3);
    const [id = 0] = whole.encode("\ufffd");
    const own = new Float32Array(whole.vocabSize);
    own[id] = 1;
    expect(likeliestOf(whole, 1)(own, 0, softmaxSum(own, 0, own.length))[0]?.text).toBe("\ufffd");
  });
});
