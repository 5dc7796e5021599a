import { describe, expect, it } from "vitest";
import { presets } from "#foretoken/config/presets.js";
import { DataError } from "#foretoken/core/errors/errors.js";
import { passesOfWindows, shuffledWindows } from "#foretoken/data/shuffled-windows.js";
import { passesOfText } from "#foretoken/trainer/passes.js";

const contextLength = 8;
const perEpoch = 12;
/** The text has space for 12 windows. The number does not depend on the start of the first window. */
const text = Int32Array.from({ length: contextLength * (perEpoch + 1) + 3 }, (_, i) => i);
const offsetOf = shuffledWindows(text.length, { contextLength, seed: 5 });
const epoch = (number: number): number[] => Array.from({ length: perEpoch }, (_, i) => offsetOf(number * perEpoch + i));

describe("windows without repetition", () => {
  it("lie end to end in each pass over the text, in another order and at another place each time", () => {
    const epochs = [0, 1, 2, 3].map(epoch);
    for (const offsets of epochs) {
      const sorted = [...offsets].sort((a, b) => a - b);
      const [first = -1] = sorted;
      expect(sorted).toEqual(Array.from({ length: perEpoch }, (_, i) => first + i * contextLength));
      expect(first).toBeGreaterThanOrEqual(0);
      // The target of the last token is in the text.
      expect((sorted.at(-1) ?? 0) + contextLength).toBeLessThan(text.length);
      expect(offsets).not.toEqual(sorted);
    }
    expect(new Set(epochs.map((offsets) => Math.min(...offsets))).size).toBeGreaterThan(1);
    expect(new Set(epochs.map((offsets) => offsets.map((o) => Math.floor(o / contextLength)).join())).size).toBe(4);
  });

  it("follow from the seed and their number alone", () => {
    const again = shuffledWindows(text.length, { contextLength, seed: 5 });
    // The windows are read backwards, so that the passes are not computed in order.
    for (const number of [50, 40, 30, 13, 12, 11, 0]) expect(again(number)).toBe(offsetOf(number));
    const other = shuffledWindows(text.length, { contextLength, seed: 6 });
    expect(Array.from({ length: perEpoch }, (_, i) => other(i))).not.toEqual(epoch(0));
  });

  it("reach every token, and one window is enough of a text", () => {
    const seen = new Set<number>();
    for (let number = 0; number < perEpoch * 200; number++) {
      for (let t = 0; t <= contextLength; t++) seen.add(offsetOf(number) + t);
    }
    expect(seen.size).toBe(text.length);
    const shortest = shuffledWindows(contextLength + 1, { contextLength, seed: 1 });
    expect([0, 1, 7].map(shortest)).toEqual([0, 0, 0]);
    expect(() => shuffledWindows(contextLength, { contextLength, seed: 1 })).toThrow(DataError);
  });

  it("are cut into passes of whole windows, each with the token after it as its target", () => {
    const whole = [...passesOfWindows(text, offsetOf, { from: 10, to: 15, contextLength }, 1e6)];
    const cut = [...passesOfWindows(text, offsetOf, { from: 10, to: 15, contextLength }, 3 * contextLength)];
    expect(whole.map(({ rows }) => rows)).toEqual([5]);
    expect(cut.map(({ rows }) => rows)).toEqual([2, 3]);
    expect(cut.flatMap(({ x }) => [...x])).toEqual([...(whole[0]?.x ?? [])]);
    for (const { x, y } of cut) expect([...y]).toEqual(Array.from(x, (id) => id + 1));
    for (const row of [0, 1, 2, 3, 4]) expect(whole[0]?.x[row * contextLength]).toBe(offsetOf(10 + row));
  });
});

describe("the windows of training", () => {
  const config = (gradAccumSteps: number, batchSize: number) => ({
    model: { ...presets.quick.model, contextLength },
    train: { ...presets.quick.train, windows: "shuffled" as const, seed: 5, gradAccumSteps, batchSize },
  });
  const inputs = (gradAccumSteps: number, batchSize: number, step: number): number[] => {
    const source = passesOfText(config(gradAccumSteps, batchSize), text);
    return Array.from({ length: gradAccumSteps }, (_, micro) => [...source.passes(step, micro)])
      .flat()
      .flatMap(({ x }) => [...x]);
  };

  it("are numbered over micro-batches and steps", () => {
    const expected = (from: number, to: number): number[] =>
      Array.from({ length: to - from }, (_, i) => offsetOf(from + i)).flatMap((o) => [
        ...text.subarray(o, o + contextLength),
      ]);
    expect(inputs(1, 4, 3)).toEqual(expected(12, 16));
    expect(inputs(4, 1, 3)).toEqual(expected(12, 16));
    expect(inputs(2, 2, 3)).toEqual(expected(12, 16));
  });
});
