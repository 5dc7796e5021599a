import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Backend } from "#foretoken/backend/backend.js";
import { openReference } from "#foretoken/backend/implementations/reference/reference.js";
import { ConfigError, DataError } from "#foretoken/core/errors/errors.js";
import { splitText } from "#foretoken/data/corpus.js";
import { contextEnd, visibleCharacter, visibleText } from "#foretoken/lesson/characters.js";
import { lessonInput, lineToShow } from "#foretoken/lesson/input.js";

describe("the line that is shown where the reader gave none", () => {
  it.each([
    ["a line", "rest of one\n\nGREMIO:\nGood morrow, neighbour Baptista.\n", "Good morrow, neighbour Baptista."],
    [
      "a sentence of a paragraph",
      `half a sentence.\n\n${"word ".repeat(20)}end. The harpoon dropped from his hand. ${"More ".repeat(20)}\n`,
      "The harpoon dropped from his hand.",
    ],
    [
      "what there is",
      "a\nlowercase words without an end that go on and on and on",
      "lowercase words without an end that go on an",
    ],
    ["what little there is", "abc", "abc"],
  ])("is %s", (_, text, line) => {
    expect(lineToShow(text)).toBe(line);
  });
});

describe("a lesson's input", () => {
  let backend: Backend;
  beforeAll(async () => {
    backend = await openReference();
  });
  afterAll(() => backend.close());

  const given = (text?: string, whole = "The cat sat on a mat.\n".repeat(20)) =>
    lessonInput({
      backend,
      corpus: {
        name: "a text",
        source: "test",
        ...splitText(whole),
        parts: [{ where: "test", start: 0 }],
        prompt: "The ",
      },
      text,
      where: "--text",
      clock: () => 0,
      signal: new AbortController().signal,
    });

  it("has a line of the held-out part, or the reader's own", () => {
    expect(given()).toMatchObject({ line: "The cat sat on a mat.", isReadersLine: false, seed: 1 });
    expect(given("a cat")).toMatchObject({ line: "a cat", isReadersLine: true });
    const { trainIds, valIds, corpus, tokenizer } = given();
    expect(tokenizer.decode([...trainIds, ...valIds])).toBe(corpus.train + corpus.val);
  });

  it("refuses a text with too little in it", () => {
    expect(() => given(undefined, "abcdefghijkl")).toThrow(
      "a text, held-out part: the text must have at least 3 characters; got 2; try more text",
    );
  });

  it("refuses a line that is too short, or with a character that the text lacks", () => {
    expect(() => given("at")).toThrow(ConfigError);
    expect(() => given("at")).toThrow('--text: must have at least 3 characters; got "at"; try a whole line');
    expect(() => given("a cät")).toThrow(DataError);
    expect(() => given("a cät")).toThrow(/^--text: every character must be one of the 13 in a text; got "ä"/u);
  });
});

describe("characters", () => {
  it("are all visible", () => {
    expect(visibleText("a\nb\tc d")).toBe("a↵b⇥c d");
    expect([" ", "\n", "x"].map(visibleCharacter)).toEqual(["␣", "↵", "x"]);
  });

  it("lose their beginning, not their end, where a context is long", () => {
    expect(contextEnd([..."abcdef"], 6)).toBe("abcdef");
    expect(contextEnd([..."abcdefg"], 6)).toBe("…cdefg");
  });
});
