import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { DataError } from "#foretoken/core/errors/errors.js";
import { charTokenizer, trainCharTokenizer } from "#foretoken/tokenizer/char.js";
import { describeSkipped, readText } from "#foretoken/tokenizer/unknown.js";
import { codePoint } from "../support/code-points.ts";

const tokenizer = charTokenizer([..."abc "]);

const failureOf = (action: () => unknown): DataError => {
  try {
    action();
  } catch (error) {
    if (error instanceof DataError) return error;
    throw error;
  }
  throw new Error("it did not fail");
};

describe("a text with characters that the tokenizer lacks", () => {
  it("is refused with all of them, each once and in order, in the line and in the error's details", () => {
    const error = failureOf(() => tokenizer.encode("aébüéc😀", "--prompt"));
    expect(error.details.characters).toEqual(["é", "ü", "😀"]);
    expect(error.message).toContain(
      'got "é" (U+00E9) at line 1, column 2 (character 2), and "ü" (U+00FC), "😀" (U+1F600); try',
    );
  });

  it("is told in a short line, however many there are", () => {
    const many = Array.from({ length: 3000 }, (_, i) => String.fromCodePoint(0x4e00 + i)).join("");
    const error = failureOf(() => tokenizer.encode(many));
    expect(error.details.characters).toHaveLength(3000);
    expect(error.message).toContain("and 2995 more");
    expect(error.message.length).toBeLessThanOrEqual(280);
  });

  it("is read without them on request, with their number", () => {
    const read = readText(tokenizer, "é aébéü😀c", "skip", "text", "skip");
    expect(read).toEqual({
      text: " abc",
      ids: tokenizer.encode(" abc"),
      skipped: { count: 5, characters: ["é", "ü", "😀"] },
    });
    expect(describeSkipped(read.skipped ?? { count: 0, characters: [] })).toBe(
      '5 characters that the model never saw: "é" (U+00E9), "ü" (U+00FC), "😀" (U+1F600)',
    );
  });

  it("is refused unless skipping is asked for, with the way to do so", () => {
    const error = failureOf(() => readText(tokenizer, "aé", "error", "--prompt", "--unknown skip"));
    expect(error.message).toMatch(
      /^--prompt: every character must .*; try --unknown skip, or a model with this character/u,
    );
    expect(error.details.characters).toEqual(["é"]);
  });
});

it("a known text is read as it is, and any text without its unknown characters", () => {
  fc.assert(
    fc.property(fc.string({ unit: codePoint, minLength: 1 }), fc.string({ unit: codePoint }), (known, text) => {
      const own = trainCharTokenizer(known);
      expect(readText(own, known, "skip", "text", "skip")).toEqual({
        text: known,
        ids: own.encode(known),
        skipped: undefined,
      });
      const { text: read, ids, skipped } = readText(own, text, "skip", "text", "skip");
      const kept = [...text].filter((character) => own.characters.includes(character));
      expect(read).toBe(kept.join(""));
      expect([...ids]).toEqual([...own.encode(kept.join(""))]);
      expect(skipped?.count ?? 0).toBe([...text].length - kept.length);
    }),
  );
});
