import { expect, it } from "vitest";
import { usualWindow, windowOf } from "../../web/run/smoothing.ts";

it("averages about 1 % of a long run's steps, and nothing of a short one", () => {
  expect([0, 300, 1999, 2000, 5000, 39_383, 1e6].map(usualWindow)).toEqual([1, 1, 1, 20, 50, 200, 1000]);
});

it("takes the window of the address, none included, before the usual one", () => {
  expect(windowOf(new URLSearchParams("smooth=5"), 39_383)).toBe(5);
  expect(windowOf(new URLSearchParams("smooth=1"), 39_383)).toBe(1);
  expect(windowOf(new URLSearchParams("smooth=7"), 39_383)).toBe(200);
});
