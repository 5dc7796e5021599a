import { expect, it } from "vitest";
import { firstDifference } from "../../web/inside/heads/first-difference.ts";
import { isQuick } from "../../web/inside/heads/quick.ts";
import { lossScale } from "../../web/inside/heads/scale.ts";

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

it("the scale of the changes has a number at both ends, and each end has the shade of its number", () => {
  expect(lossScale([0.537, -0.196, 0.1])).toEqual({
    largest: 0.537,
    labels: ["the loss falls by 0.1960", "no change", "it rises by 0.5370"],
    ends: [0.196 / 0.537, 1],
  });
  expect(lossScale([0.2, 0.1])).toMatchObject({ labels: ["no fall", "no change", "it rises by 0.2000"], ends: [0, 1] });
  expect(lossScale([])).toEqual({ largest: 0, labels: ["the loss falls", "no change", "it rises"], ends: [1, 1] });
});
