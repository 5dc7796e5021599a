import { expect, it } from "vitest";
import { dictionaryOf, wordShare, wordsOf } from "#foretoken/lesson/words.js";

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

it("a text without words has none of the dictionary", () => {
  expect(wordShare(dictionaryOf("The cat sat."), "!! a b, c", "x ")).toEqual({ words: 0, known: 0, share: 0 });
});
