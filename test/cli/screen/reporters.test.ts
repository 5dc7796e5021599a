import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { liveReporter } from "#foretoken/cli/display/reporters/live.js";
import { plainReporter } from "#foretoken/cli/display/reporters/plain.js";
import { jsonReporter } from "#foretoken/cli/display/reporters/reporter.js";
import type { NonfiniteEvent, OverfittingEvent, TrainEvent } from "#foretoken/runs/events.js";
import type { Outcome } from "../../outcome-of.ts";
import { cli, jsonLines, tiny, workplace } from "../cli.ts";
import { onHost } from "../in-process.ts";

// The time limit is far longer than any test takes, because a machine may be slow or busy.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const overfitting: OverfittingEvent = {
  ...{ v: 1, type: "overfitting", step: 600 },
  ...{ valLoss: 2.31, bestValLoss: 1.78, bestStep: 200 },
};
const nonfinite: NonfiniteEvent = {
  ...{ v: 1, type: "nonfinite", step: 601, loss: null, gradNorm: null },
  ...{ tensor: "h.0.mlp.weight", action: "skip", file: null },
};

let cwd: string;
let remove: () => Promise<void>;
let start: unknown;

beforeAll(async () => {
  ({ cwd, remove } = await workplace());
  const { stdout } = await cli(["train", ...tiny, "--out", "run", "--json"], { cwd });
  [start] = jsonLines(stdout);
});

afterAll(() => remove());

const reporters = { plain: plainReporter, live: liveReporter, json: jsonReporter };

/** A reporter's output for a run with both warnings. */
const told = (kind: keyof typeof reporters): Promise<Outcome> =>
  onHost(
    async () => {
      const reporter = reporters[kind]({ why: undefined });
      for (const event of [start, overfitting, nonfinite]) reporter.event(event as TrainEvent);
      reporter.close();
      return 0;
    },
    { cwd, env: { FORCE_COLOR: "1", NO_COLOR: "" } },
  );

const yellow = (text: string): string => `\u001b[33m${text}\u001b[39m`;

test("a warning of a run is a line in a pipe, yellow on a terminal, and an event in JSON", async () => {
  const [plain, live, json] = await Promise.all([told("plain"), told("live"), told("json")]);
  for (const { status, stderr } of [plain, live, json]) expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
  const turned = "step 600   validation loss is rising: 2.310, after 1.780 at step 200";
  const bad = "step 601   rejected: loss is not finite, gradient norm is not finite, first in h.0.mlp.weight; skipped";
  const lines = plain.stdout.split("\n");
  expect(lines.filter((line) => line.startsWith(`${turned}; best/ keeps the weights of that step; try `))).toHaveLength(
    1,
  );
  expect(lines.filter((line) => line === bad)).toHaveLength(1);
  expect(plain.stdout).not.toContain("\u001b");
  expect(live.stdout).toContain(yellow("step 600   validation loss is rising: 2.310, after 1.780 at step 200; best/"));
  expect(live.stdout).toMatch(/\[33mstep 601 {3}rejected: /u);
  expect(jsonLines(json.stdout).slice(1)).toEqual([overfitting, nonfinite]);
});
