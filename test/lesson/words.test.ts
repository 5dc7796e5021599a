import { expect, it } from "vitest";
import { dictionaryOf, hasWords, wordShare, wordsOf } from "#foretoken/lesson/words.js";

it("a word is a run of three letters or more, whatever its case and its alphabet", () => {
  expect(wordsOf("The ox, the Ox-eye: 'tis a déjà-vu of 1234 ΝΑΙ.")).toEqual([
    "the",
    "the",
    "eye",
    "tis",
    "déjà",
    "ναι",
  ]);
});

it("the share is of words as often as they are written, without those that are not whole", () => {
  const dictionary = dictionaryOf("The cat sat.");
  expect(wordShare(dictionary, "ing the cat, the dgo; cat sa", "sitt")).toEqual({ words: 5, known: 4, share: 0.8 });
  expect(wordShare(dictionary, "the cat ", "Sat ")).toEqual({ words: 2, known: 2, share: 1 });
});

it("runs of letters are words only where a text is written with spaces", () => {
  expect(["The cat.", "Ein déjà-vu, ΝΑΙ.", "한국어 문장", "1234", ""].map(hasWords)).toEqual([
    true,
    true,
    true,
    false,
    false,
  ]);
  expect(["本教程的设计目标是讲述一些必要的命令", "ข้อความไทย", "ひらがな と カタカナ"].map(hasWords)).toEqual([
    false,
    false,
    false,
  ]);
  expect(hasWords("A text about 中文, mostly in English")).toBe(true);
});

it("a text without words has none of the dictionary", () => {
  expect(wordShare(dictionaryOf("The cat sat."), "!! a b, c", "x ")).toEqual({ words: 0, known: 0, share: 0 });
});
