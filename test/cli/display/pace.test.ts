import { expect, test } from "vitest";
import { createPace } from "#foretoken/cli/display/reporters/pace.js";
import { forwardSeconds } from "#foretoken/runs/time-left.js";
import { start } from "./start-event.ts";

const train = { ...start.config.train, steps: 10, evalInterval: 10 };
const planned = { ...start, config: { ...start.config, train }, valTokens: 6_000_000 };

test("the first step, which is slow, counts for nothing, and the fastest step gives the time of an evaluation", () => {
  const pace = createPace(planned, 0);
  pace.step(1, 1000, 20);
  expect(pace.secondsLeft()).toBeUndefined();
  pace.step(2, 1000, 22);
  expect(pace.secondsLeft()).toBeCloseTo(8 * 2 + forwardSeconds(planned.config, 2, 6_000_000), 6);
  pace.step(3, 1000, 23);
  pace.step(4, 1000, 24);
  expect(pace.secondsLeft()).toBeCloseTo(6 + forwardSeconds(planned.config, 1, 6_000_000), 6);
});

test("an evaluation that was seen gives its own time", () => {
  const often = { ...planned, config: { ...planned.config, train: { ...train, evalInterval: 2 } } };
  const pace = createPace(often, 0);
  pace.step(1, 1000, 20);
  pace.step(2, 1000, 21);
  pace.measured(24);
  // Eight steps of a second and four evaluations of three seconds.
  expect(pace.secondsLeft()).toBeCloseTo(8 + 4 * 3, 6);
});
