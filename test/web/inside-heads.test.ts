import { expect, it } from "vitest";
import { firstDifference } from "../../web/inside/heads/first-difference.ts";
import { isQuick } from "../../web/inside/heads/quick.ts";

it("measures each head at once in a small model, and not before it is asked in a large one or on a long text", () => {
  const shape = (nLayer: number, nHead: number, parameters: number) => ({
    ...{ nLayer, nHead, parameters, contextLength: 1024, vocabSize: 100 },
    ...{ isCausal: true, tieEmbeddings: true },
  });
  const small = shape(6, 6, 10_600_000);
  expect(isQuick(small, 48)).toBe(true);
  expect(isQuick(small, 256)).toBe(false);
  expect(isQuick(shape(30, 9, 134_500_000), 5)).toBe(false);
});

it("marks only the first different word of two written texts, and none while the texts may still be equal", () => {
  const marks = (a: string, b: string, isWriting = false) => firstDifference(a, b, isWriting).map(({ mark }) => mark);
  expect(firstDifference("a cat sat", "a cow sat", false)).toEqual([
    { before: "a c", mark: "at", after: " sat" },
    { before: "a c", mark: "ow", after: " sat" },
  ]);
  expect(marks("one two three", "one\ntwo")).toEqual([" two", "\ntwo"]);
  expect(marks("one two", "one", true)).toEqual(["", ""]);
  expect(marks("one two", "one")).toEqual([" two", ""]);
  expect(marks("one two", "one x", true)).toEqual(["two", "x"]);
  expect(marks("a😀", "a😁")).toEqual(["😀", "😁"]);
  expect(marks("same", "same")).toEqual(["", ""]);
});
