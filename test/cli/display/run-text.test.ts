import { expect, it } from "vitest";
import { estimateLines } from "#foretoken/cli/display/texts/run-text.js";
import { style } from "./style.ts";

it("the estimate of a run's time has the speed that its steps have", () => {
  const event = { v: 1, type: "estimate", step: 6, timedSteps: 5, stepSeconds: 2, secondsLeft: 60 } as const;
  expect(estimateLines(event, 12, 200, style(true)).join("\n")).toContain("2.0 s a step · 12 tokens/s · by 5 steps");
  expect(estimateLines(event, undefined, 200, style(true)).join("\n")).not.toContain("tokens/s");
});
