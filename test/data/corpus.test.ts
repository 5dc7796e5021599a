import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { ConfigError } from "#foretoken/core/errors/errors.js";
import { countCharacters, firstWord, openingWords, splitText } from "#foretoken/data/corpus.js";
import { decodeText, firstInvalidByte } from "#foretoken/data/utf8.js";
import { codePoint } from "../support/code-points.ts";

const text = fc.string({ unit: codePoint, maxLength: 200 });
const bytesOf = (...parts: (string | number[])[]): Uint8Array =>
  Uint8Array.from(parts.flatMap((part) => (typeof part === "string" ? [...new TextEncoder().encode(part)] : part)));

describe("splitText", () => {
  it("cuts between characters, at floor((1 − valFraction)·n)", () => {
    fc.assert(
      fc.property(text, fc.double({ min: 0.01, max: 0.99, noNaN: true }), (whole, valFraction) => {
        const { train, val } = splitText(whole, valFraction);
        expect(train + val).toBe(whole);
        expect([...train].length).toBe(Math.floor((1 - valFraction) * [...whole].length));
        expect(countCharacters(whole)).toBe([...whole].length);
      }),
    );
  });

  it("holds out 111,540 of 1,115,394 characters by default: 111,539 predictions", () => {
    const { train, val } = splitText("a".repeat(1_115_394));
    expect([train.length, val.length]).toEqual([1_003_854, 111_540]);
  });

  it.each([0, 1, -0.1, 1.5, Number.NaN])("refuses to hold out %s", (valFraction) => {
    expect(() => splitText("abc", valFraction)).toThrow(ConfigError);
    expect(() => splitText("abc", valFraction)).toThrow(`got ${valFraction}; try 0.1`);
  });
});

describe("firstWord", () => {
  it.each([
    ["  \nHello, world", "Hello,"],
    ["\n \n", "\n"],
    ["😀".repeat(30), "😀".repeat(24)],
    ["", ""],
    ["=====\n# 1. Notes of a year\n", "Notes"],
    ["[Nov 3] began", "[Nov"],
    [`${"=".repeat(40)}Title\n1 2`, "=".repeat(24)],
    ["第 2 章", "第"],
  ])("of %j is %j", (whole, word) => {
    expect(firstWord(whole)).toBe(word);
  });
});

describe("openingWords", () => {
  const prose = "The pale usher stood there, threadbare in coat, heart, body, and brain.";
  it.each([
    [`CONTENTS\n\nCHAPTER 1. Of the very long voyage of a ship of many names\n\n${prose}`, "The pale usher"],
    [`MY BOOK\n(Supplied by a late consumptive usher to a school)\n  ${prose}`, "The pale usher"],
    ["CHAPTER ONE\n\nI was born in the year of the great storm, and my\nmother told me", "I was born"],
    [`A BOOK OF CAPITALS THAT ARE LONG ENOUGH FOR A LINE\n${prose}`, "The pale usher"],
    [`THE END\nshort line\n`, "THE"],
    [`Act I\n\nscene ii. A street before the castle of the king.\n\nEnter two\n\n${prose}`, "The pale usher"],
    [`Act the first\n${prose}`, "The pale usher"],
    [`Part one of the story was told in the house by the sea.\n${prose}`, "Part"],
    ["I.\n\nTiger, burning bright,\nIn the forests of the night;\n", "Tiger, burning bright,"],
    ["XIV\n\nO moon of all the hills,\nmy lamp and my delight", "O moon of"],
    ["ii\nA cat and a hat", "ii"],
    ["Civil words\nwere said", "Civil"],
    [`ROMEO:\n${prose}`, "ROMEO:"],
    [`First Citizen:\n${prose}`, "First"],
    [`${prose}`, "The"],
    ["目录\n第一章", "目录"],
    ["", ""],
  ])("of %j are %j", (whole, words) => {
    expect(openingWords(whole)).toBe(words);
  });

  it("occur in the text", () => {
    fc.assert(
      fc.property(text, (sample) => {
        expect(sample).toContain(openingWords(sample));
        const book = `TITLE\n${sample}\nSome\twords of  prose that are long enough ${sample}`;
        expect(book).toContain(openingWords(book));
      }),
    );
  });
});

describe("decodeText", () => {
  it("reads any text, with \\r\\n as \\n", () => {
    fc.assert(
      fc.property(text, (sample) => {
        fc.pre(sample !== "" && !sample.includes("\0") && !sample.startsWith("\ufeff"));
        expect(decodeText(bytesOf(sample), "f")).toBe(sample.replaceAll("\r\n", "\n"));
        expect(decodeText(bytesOf([0xef, 0xbb, 0xbf], sample), "f")).toBe(sample.replaceAll("\r\n", "\n"));
      }),
    );
    expect(decodeText(bytesOf("a\r\nb\rc\n"), "f")).toBe("a\nb\rc\n");
  });

  it("finds a wrong byte exactly where the platform's decoder does", () => {
    const bytes = fc.uint8Array({ maxLength: 12 });
    // Lead and continuation bytes are rare among all bytes, so they are drawn more often.
    const tricky = fc.array(
      fc.constantFrom(
        0x41,
        0x80,
        0xbf,
        0xc0,
        0xc1,
        0xc2,
        0xdf,
        0xe0,
        0xa0,
        0x9f,
        0xed,
        0xef,
        0xf0,
        0x90,
        0x8f,
        0xf4,
        0xf5,
        0xff,
      ),
      { maxLength: 8 },
    );
    fc.assert(
      fc.property(fc.oneof(bytes, tricky), (sample) => {
        const data = Uint8Array.from(sample);
        const decoded = (part: Uint8Array): string | undefined => {
          try {
            return new TextDecoder("utf-8", { fatal: true }).decode(part);
          } catch {
            return undefined;
          }
        };
        const at = firstInvalidByte(data);
        expect(at === -1).toBe(decoded(data) !== undefined);
        if (at !== -1) expect(decoded(data.subarray(0, at))).toBeDefined();
      }),
      { numRuns: 3000 },
    );
  });
});
