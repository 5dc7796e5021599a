import { describe, expect, it } from "vitest";
import { createGuessPace, type GuessPace } from "#foretoken/engine/guess-pace.js";

/** A guess pace that has measured the time of passes. The first pass of each size does not count. */
const paceOf = (milliseconds: (rows: number) => number, rows: readonly number[]): GuessPace => {
  const pace = createGuessPace();
  for (const one of rows) for (let i = 0; i < 2; i++) pace.note(one, milliseconds(one));
  return pace;
};
const sure = { chance: 0.97, most: 48, milliseconds: 0 };
const unsure = { chance: 0.3, most: 48, milliseconds: 0 };

describe("how many tokens are guessed", () => {
  it("is more where they come true, and where rows cost little", () => {
    const cheap = paceOf((rows) => 10 + 0.2 * rows, [1, 2, 8, 16, 33]);
    const [many = 0] = cheap.plan([sure], 1);
    const [few = 0] = cheap.plan([unsure], 1);
    expect(many).toBeGreaterThanOrEqual(20);
    expect(few).toBeGreaterThanOrEqual(1);
    expect(few).toBeLessThan(5);
    const dear = paceOf((rows) => 10 * rows, [1, 2, 8, 33]);
    expect(dear.plan([sure, unsure], 2)).toEqual([0, 0]);
    expect(cheap.plan([], 3)).toEqual([]);
    expect(cheap.plan([{ ...sure, most: 3 }], 1)).toEqual([2]);
    // The total number of rows equals the number in other passes.
    expect(
      cheap.plan(
        [2, 2].map((most) => ({ ...sure, most })),
        14,
      ),
    ).toEqual([1, 1]);
  });

  it("is shared out between texts by their chances", () => {
    const pace = paceOf((rows) => 10 + rows, [1, 2, 4, 8, 16, 32]);
    const [good = 0, bad = 0, worst = 0] = pace.plan([sure, unsure, { ...unsure, chance: 0.01 }], 3);
    expect(good).toBeGreaterThan(bad);
    expect(worst).toBe(0);
  });

  it("is none where the guesses take longer than the passes that they save", () => {
    const pace = paceOf((rows) => 10 + 0.2 * rows, [1, 2, 8, 33]);
    expect(pace.plan([{ ...sure, milliseconds: 12 }], 1)).toEqual([0]);
    const [some = 0] = pace.plan([{ ...sure, milliseconds: 1 }], 1);
    expect(some).toBeGreaterThan(3);
  });

  it("begins with some before anything was measured, and forgets a time that was long by chance", () => {
    expect(createGuessPace().plan([sure], 1)[0]).toBeGreaterThan(0);
    const pace = createGuessPace();
    for (let i = 0; i < 2; i++) {
      pace.note(1, 10);
      pace.note(2, 500);
    }
    expect(pace.plan([{ ...sure, most: 1 }], 1)).toEqual([0]);
    for (let i = 0; i < 300; i++) pace.note(1, 10);
    expect(pace.plan([{ ...sure, most: 1 }], 1)).toEqual([1]);
  });
});
