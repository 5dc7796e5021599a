import { describe, expect, it } from "vitest";
import type { RunSummary } from "#foretoken/serve/studio/protocol.js";
import { comparedSettings, isClear, placesOf } from "../../web/compare/settings.ts";

const run = (name: string, learningRate: number, seed: number, valLoss: number | null, corpusSha256 = "a") =>
  ({
    ...{ name, corpus: "notes.txt", corpusSha256, initFrom: null },
    config: { model: { nLayer: 1 }, train: { learningRate, seed } },
    best: valLoss === null ? null : { step: 5, valLoss, natsPerCharacter: valLoss, bitsPerByte: 2 * valLoss },
  }) as unknown as RunSummary;
const valLoss = ({ valLoss: value }: { readonly valLoss: number }): number => value;

describe("settings of compared runs", () => {
  it("are runs that differ in their seeds alone, paired by them, with the t interval of the pairs", () => {
    const runs = [run("a1", 0.1, 1, 1), run("b2", 0.2, 2, 1.4), run("a2", 0.1, 2, 1.1), run("b1", 0.2, 1, 1.2)];
    const found = comparedSettings([...runs, run("a3", 0.1, 3, 1.3), run("b3", 0.2, 3, 1.8)], valLoss);
    expect(found.map(({ runs: own }) => own.map(({ name }) => name))).toEqual([
      ["a1", "a2", "a3"],
      ["b2", "b1", "b3"],
    ]);
    expect(found.map(({ fields }) => fields)).toEqual([
      [{ path: "train.learningRate", value: "0.1" }],
      [{ path: "train.learningRate", value: "0.2" }],
    ]);
    const [first, second] = found;
    expect(first?.difference).toBeUndefined();
    // Differences 0.2, 0.3 and 0.5: their mean ± 4.3027 · 0.152753 / √3.
    expect(second?.difference?.value).toBeCloseTo(1 / 3, 12);
    expect(second?.difference?.halfWidth).toBeCloseTo(0.37946, 5);
    expect(second?.difference?.paired).toBe(true);
    expect(second?.difference && isClear(second.difference)).toBe(false);
    // All marks are inside the picture. Larger losses are further right.
    const place = placesOf(found);
    const places = [...found.flatMap(({ runs: own }) => own.map(({ loss }) => place(loss))), place(1.4666 + 0.3794)];
    expect(Math.min(...places)).toBeGreaterThanOrEqual(4);
    expect(Math.max(...places)).toBeLessThanOrEqual(96);
    expect(place(1.2)).toBeLessThan(place(1.3));
  });

  it("with other seeds are two samples; one run of each says nothing", () => {
    const own = [1, 1.1, 1.2].map((loss, i) => run(`a${i}`, 0.1, i, loss));
    const others = [1.3, 1.4, 1.5].map((loss, i) => run(`b${i}`, 0.2, 10 + i, loss));
    const [, found] = comparedSettings([...own, ...others], valLoss);
    // Standard deviation 0.1 in both: 2.776445 · 0.1 · √(2/3).
    expect(found?.difference).toMatchObject({ paired: false, halfWidth: expect.closeTo(0.226696, 5) });
    expect(found?.difference && isClear(found.difference)).toBe(true);
    const alone = comparedSettings([...own, run("b", 0.2, 9, 2), run("c", 0.3, 9, 2)], valLoss);
    expect(alone.map(({ difference }) => difference?.halfWidth === undefined)).toEqual([true, false, false]);
  });

  it("are not shown without several seeds of one, of different texts, or before anything was measured", () => {
    expect(comparedSettings([run("a", 0.1, 1, 1), run("b", 0.2, 1, 2)], valLoss)).toEqual([]);
    expect(comparedSettings([run("a1", 0.1, 1, 1), run("a2", 0.1, 2, 2)], valLoss)).toEqual([]);
    const other = [run("a1", 0.1, 1, 1), run("a2", 0.1, 2, 1), run("b", 0.2, 1, 2, "b")];
    expect(comparedSettings(other, valLoss)).toEqual([]);
    const early = [run("a1", 0.1, 1, null), run("a2", 0.1, 2, 1), run("b", 0.2, 1, 2)];
    expect(comparedSettings(early, valLoss)).toEqual([]);
  });
});
