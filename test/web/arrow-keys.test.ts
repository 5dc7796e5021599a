import { expect, test } from "vitest";
import { placeAfter } from "../../web/tokens/arrow-keys.ts";

test("arrow keys go through the candidates one by one, to the first and to the last, and no further", () => {
  const walk = (key: string, from: number): (number | undefined)[] => {
    const places = [placeAfter(key, from, 3)];
    for (let i = 0; i < 3; i++) places.push(placeAfter(key, places.at(-1) ?? Number.NaN, 3));
    return places;
  };
  // At first, no option is selected.
  expect(walk("ArrowDown", -1)).toEqual([0, 1, 2, 2]);
  expect(walk("ArrowUp", 2)).toEqual([1, 0, 0, 0]);
  expect(placeAfter("ArrowUp", -1, 3)).toBe(0);
  expect(placeAfter("ArrowDown", -1, 1)).toBe(0);
});

test("other keys lead nowhere", () => {
  for (const key of ["Enter", "Tab", "ArrowLeft", "a"]) expect(placeAfter(key, 0, 3)).toBeUndefined();
});
