import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { meanAround } from "../../templates/page/curve.ts";
import { secondsLeft, wordsOf } from "../../templates/page/time-left.ts";
import { root } from "./starter.ts";

const read = (path: string): Promise<string> => readFile(join(root, path), "utf8");

/** Colours by name. Each name has its light colour first, then its dark colour. */
const coloursOf = (css: string): readonly Readonly<Record<string, string>>[] =>
  [...css.matchAll(/:root[^{]*\{([^}]*)\}/gu)].map(([, block = ""]) =>
    Object.fromEntries([...block.matchAll(/--([\w-]+): (#\w+);/gu)].map(([, name = "", value = ""]) => [name, value])),
  );

test("the starter's page has the studio's colours, in both themes, and its mark", async () => {
  const [light = {}, dark = {}] = coloursOf(await read("web/style/colors.css"));
  const inStudio = ({ "series-training": training = "", ...others }: Readonly<Record<string, string>>) => ({
    ...others,
    training,
  });
  const [ownLight = {}, ownDark = {}] = coloursOf(await read("templates/page/colors.css"));
  expect(Object.keys(ownLight).length).toBeGreaterThan(10);
  expect(Object.keys(ownDark)).toEqual(Object.keys(ownLight));
  expect(inStudio(light)).toMatchObject(ownLight);
  expect(inStudio(dark)).toMatchObject(ownDark);
  expect(await read("templates/page/icon.svg")).toBe(await read("web/public/icon.svg"));
});

test("the starter's line of training keeps up with losses that fall", () => {
  const falling = Array.from({ length: 20 }, (_, n) => ({ step: n + 1, loss: 4 - 0.1 * n }));
  // The moving average of a straight line equals the line, including its ends.
  for (const [i, { loss }] of falling.entries()) expect(meanAround(falling, i)).toBeCloseTo(loss, 12);
  expect(
    meanAround(
      [1, 2, 6].map((loss, step) => ({ step, loss })),
      1,
    ),
  ).toBe(3);
});

test("the starter's time left follows from the estimate, and after a measurement from the time of the steps", () => {
  const pace = { from: 6, to: 106, estimated: 50 };
  expect(secondsLeft(pace, 6, 0, false)).toBe(50);
  // The steps took twice the estimated time. The page cannot know this before the first measurement.
  expect(secondsLeft(pace, 26, 20, false)).toBe(40);
  expect(secondsLeft(pace, 26, 20, true)).toBe(80);
  expect([4, 10, 81, 90, 200].map(wordsOf)).toEqual([
    "a few seconds left",
    "about 10 seconds left",
    "about 90 seconds left",
    "about 2 minutes left",
    "about 3 minutes left",
  ]);
});
