import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { firstWord, openingWords, splitText } from "#foretoken/data/corpus.js";
import { decodeText } from "#foretoken/data/utf8.js";
import { lineToShow } from "#foretoken/lesson/input.js";
import { trainCharTokenizer } from "#foretoken/tokenizer/char.js";

const size = 8_000_000;
const filled = (text: string): Uint8Array => {
  const unit = Buffer.from(text);
  return Buffer.alloc(unit.length * Math.floor(size / unit.length), unit);
};

/**
 * Texts for which a naive search starts again at each character. Such a search would end the process, take minutes, or
 * need fifty times the memory of the text.
 */
describe("a text of one thing over and over", () => {
  it.each([
    ["lone carriage returns", "\r", "\r"],
    ["line ends of Windows", "\r\n", "\n"],
    ["line ends", "\n", "\n"],
    ["byte order marks", "\ufeff", "\ufeff"],
    ["one word", "a", "a"],
    ["characters outside of the basic plane", "\u{1f600}", "\u{1f600}"],
    ["spaces", " ", " "],
  ])("is read and split: %s", (_, unit, read) => {
    const text = decodeText(filled(unit), "f");
    const units = Math.floor(size / Buffer.from(unit).length);
    // A byte order mark at the beginning is dropped.
    const count = unit === "\ufeff" ? units - 1 : units;
    expect(text === read.repeat(count)).toBe(true);
    const { train, val } = splitText(text);
    expect(train.length).toBe(Math.floor(0.9 * count) * read.length);
    expect(val.length).toBe(text.length - train.length);
    expect(firstWord(text).length).toBeLessThanOrEqual(48);
    expect([...lineToShow(val)].length).toBeLessThanOrEqual(44);
    const tokenizer = trainCharTokenizer(train, val);
    expect(tokenizer.decode(tokenizer.encode(val)) === val).toBe(true);
  });

  it.each([
    [
      "ends with half a character",
      Buffer.concat([filled("\n"), Buffer.from([0xe2, 0x82])]),
      `0xE2 at byte ${size} (line ${size + 1})`,
    ],
    [
      "ends with NULs",
      Buffer.concat([filled("\r\n"), Buffer.alloc(9)]),
      `a NUL byte at byte ${size} (line ${size / 2 + 1})`,
    ],
  ])("that %s is refused, saying where", (_, bytes, expected) => {
    expect(() => decodeText(bytes, "f")).toThrow(expected);
  });

  it("has a first word, however long the word is", () => {
    const long = "\u{1f600}".repeat(20_000_000);
    expect(firstWord(long)).toBe("\u{1f600}".repeat(24));
    expect(firstWord(` \n${long}`)).toBe("\u{1f600}".repeat(24));
  });

  it("has a prompt, however long a line of capitals is", { timeout: 10_000 }, () => {
    const line = "A".repeat(60_000);
    expect(openingWords(`${line}あ`)).toBe(firstWord(`${line}あ`));
    expect(openingWords(`${line}\n\nIt was a dark night, and the rain fell in torrents.`)).toBe("It was a");
  });

  it("with an unknown character at its end is refused, saying where", () => {
    const tokenizer = trainCharTokenizer("a\n\u{1f600}");
    const text = `${"a\n".repeat(size / 4)}${"\u{1f600}".repeat(size / 4)}b`;
    expect(() => tokenizer.encode(text)).toThrow(
      `line ${size / 4 + 1}, column ${size / 4 + 1} (character ${(3 * size) / 4 + 1})`,
    );
  });

  it("has no more characters than a tokenizer.json can be read with", () => {
    const all = Array.from({ length: 500_001 }, (_, i) => String.fromCodePoint(i < 0xd800 ? i : i + 0x800));
    expect(() => trainCharTokenizer(all.join(""))).toThrow(/at most 500000 distinct characters; got 500001/u);
    expect(trainCharTokenizer(all.slice(1).join("")).vocabSize).toBe(500_000);
  });
});

it("line ends of Windows become plain ones, and nothing else changes", () => {
  const pieces = fc.array(fc.constantFrom("\r", "\n", "\r\n", "a", "\u00e9", "\u{1f600}"), {
    minLength: 1,
    maxLength: 30,
  });
  fc.assert(
    fc.property(pieces, (parts) => {
      const text = parts.join("");
      expect(decodeText(Buffer.from(text), "f")).toBe(text.replaceAll("\r\n", "\n"));
    }),
  );
});
