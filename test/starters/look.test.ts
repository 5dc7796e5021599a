import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { axisEnd, meanAround } from "../../templates/page/curve.ts";
import { createPace, wordsOf } from "../../templates/page/time-left.ts";
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

test("the starter's time left follows the last steps", () => {
  // 100 steps of 0.5 s, and 6 measurements of 2.5 s, that is of 5 steps.
  const pace = createPace({ from: 6, to: 106, evalInterval: 20, stepSeconds: 0.5, secondsLeft: 65 }, 0);
  let now = 0;
  const go = (from: number, to: number, seconds: number): number => {
    for (let step = from; step <= to; step++) {
      now += seconds;
      pace.step(step, now);
    }
    return pace.secondsLeft();
  };
  expect(pace.secondsLeft()).toBeCloseTo(65, 9);
  expect(go(7, 10, 0.5)).toBeCloseTo(0.5 * (96 + 6 * 5), 9);
  // The computer gets busy: five steps say so, although each takes seconds.
  expect(go(11, 15, 4)).toBeCloseTo(4 * (91 + 6 * 5), 9);
  // It gets faster again, and the slow steps are forgotten after 15 s.
  expect(go(16, 20, 3)).toBeCloseTo(3 * (86 + 5 * 5), 9);
  // The measurement took as long as 9 steps. It is not a step.
  pace.measured();
  expect(go(21, 21, 30)).toBeCloseTo(3 * (85 + 5 * 9), 9);
  expect(go(22, 105, 3)).toBeCloseTo(3 * (1 + 9), 9);
});

test("the starter's words for the time left change in tens of seconds", () => {
  expect([4, 10, 81, 90, 200].map(wordsOf)).toEqual([
    "a few seconds left",
    "about 10 seconds left",
    "about 90 seconds left",
    "about 2 minutes left",
    "about 3 minutes left",
  ]);
});

test("the starter's chart is filled by the steps so far, and ends at the last planned step", () => {
  for (let step = 1; step <= 2000; step += 13) {
    const end = axisEnd(step, 2000);
    expect(end).toBeLessThanOrEqual(Math.min(2000, 1.4 * step));
    expect(end).toBeGreaterThanOrEqual(Math.min(2000, 1.09 * step));
  }
  expect([axisEnd(0, 2000), axisEnd(2000, 2000), axisEnd(12, 10)]).toEqual([2000, 2000, 12]);
});
