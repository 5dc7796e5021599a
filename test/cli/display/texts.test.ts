/** Lines that the command line prints. */
import { describe, expect, test } from "vitest";
import {
  flow,
  formatBytes,
  formatDuration,
  formatRate,
  formatSeconds,
  formatShort,
} from "#foretoken/cli/display/texts/format.js";
import { profileLines } from "#foretoken/cli/display/texts/profile-table.js";
import { startLines } from "#foretoken/cli/display/texts/run-text.js";
import { nonfiniteText, overfittingText } from "#foretoken/cli/display/texts/warning-text.js";
import { columns, wrapText } from "#foretoken/cli/display/texts/width.js";
import { printable } from "#foretoken/cli/process/terminal.js";
import { presets } from "#foretoken/config/presets.js";
import { start } from "./start-event.ts";
import { style } from "./style.ts";

describe("where the time went", () => {
  const kernels = [
    { kernel: "linearForward", calls: 1200, seconds: 3, flops: 6e11, bytes: 2 ** 31 },
    { kernel: "add", calls: 40, seconds: 0.5, flops: 0, bytes: 1e9 },
  ] as const;
  const event = { v: 1, type: "profile", step: 20, timedSteps: 20, seconds: 4, kernels } as const;

  test("is a line a kernel, products by their arithmetic and the rest by bytes, then what is outside", () => {
    expect(profileLines(event, 100, style(true))).toEqual([
      "Time by kernel: 4.0 s in total, for 20 steps with evaluations, samples and checkpoints:",
      "kernel             time  share  calls         rate      bytes",
      "linearForward     3.0 s  75.0%  1,200  200 GFLOP/s    2.0 GiB",
      "add              500 ms  12.5%     40     2.0 GB/s  953.7 MiB",
      "outside kernels  500 ms  12.5%",
    ]);
  });

  test("counts the steps that were timed, and says which", () => {
    expect(profileLines({ ...event, step: 1020 }, 200, style(true))[0]).toBe(
      "Time by kernel: 4.0 s in total, for 20 steps (1,001 to 1,020, since the run was resumed) with evaluations, samples and checkpoints:",
    );
    expect(profileLines({ ...event, timedSteps: 0 }, 100, style(true))[0]).toContain("for 0 steps with evaluations");
  });

  test.each([34, 42, 60])("leaves out columns where %i are too few", (width) => {
    const lines = profileLines(event, width, style(true));
    const table = lines.slice(lines.findIndex((line) => line.startsWith("kernel ")));
    for (const line of lines) expect(columns(line)).toBeLessThanOrEqual(width);
    expect(table[1]).toMatch(/^linearForward +3\.0 s +75\.0%/u);
  });
});

test("counts, sizes and short times are read at a glance", () => {
  expect([0, 18_750, 104_857, 104_858, 2 ** 29, 3 * 2 ** 30].map(formatBytes)).toEqual([
    ...["0.0 KiB", "18.3 KiB", "102.4 KiB", "0.1 MiB", "512.0 MiB", "3.0 GiB"],
  ]);
  expect([0, 17, 999, 1000, 1234, 9_960, 420_864, 999_600, 824_832_000].map(formatShort)).toEqual([
    ...["0", "17", "999", "1.0k", "1.2k", "10k", "421k", "1.0M", "825M"],
  ]);
  expect([0.0004, 0.00994, 0.0221, 0.9994, 0.9996, 2.06].map(formatSeconds)).toEqual([
    ...["0.4 ms", "9.9 ms", "22 ms", "999 ms", "1.0 s", "2.1 s"],
  ]);
});

test("texts are put into columns without losing a character", () => {
  expect(flow(["aaa", "bbb", "ccc"], " · ", 10, "  ")).toEqual(["aaa · bbb", "  ccc"]);
  expect(wrapText("one two three\n\nfour", 8)).toEqual(["one two", "three", "", "four"]);
  expect(wrapText("😀😀😀😀😀", 4)).toEqual(["😀😀", "😀😀", "😀"]);
  expect([0.4, 52, 725, 3723].map(formatDuration)).toEqual(["0:00", "0:52", "12:05", "1:02:03"]);
});

test("what a model writes cannot steer the terminal", () => {
  expect(printable("a\u001b[2Jb\u009bc\u007f\td\n")).toBe("a␛[2Jb\ufffdc\ufffd\td\n");
  expect(printable("a\u001b[2Jb\u009bc\u007f\td\n", false)).toBe("a^[[2Jb?c^?\td\n");
});

test("warnings of a run are lines that say what happened and what to do", () => {
  const turned = { v: 1, type: "overfitting", step: 600, valLoss: 2.31, bestValLoss: 1.78, bestStep: 200 } as const;
  const { book } = presets;
  const begun = (initFrom: string | null, dropout: number, patience: number) => ({
    initFrom,
    config: { ...book, model: { ...book.model, dropout }, train: { ...book.train, patience } },
  });
  const turning =
    "step 600   validation loss is rising: 2.310, after 1.780 at step 200; best/ keeps the weights of that step; try more text";
  expect(overfittingText(turned, begun(null, 0, 0))).toBe(
    `${turning}, --model.dropout 0.1, a smaller model or --patience 3`,
  );
  // The message does not recommend a setting that the run already has.
  expect(overfittingText(turned, begun(null, 0.2, 3))).toBe(`${turning}, --model.dropout 0.3 or a smaller model`);
  expect(overfittingText(turned, begun("base", 0.4, 3))).toBe(`${turning} or a lower --learning-rate`);
  const bad = { v: 1, type: "nonfinite", step: 1041, loss: null, gradNorm: 1.5e9, tensor: "h.0.mlp.weight" } as const;
  expect(nonfiniteText({ ...bad, action: "skip", file: null })).toBe(
    "step 1,041   rejected: loss is not finite, gradient norm 1.500e+9, first in h.0.mlp.weight; skipped",
  );
  expect(nonfiniteText({ ...bad, loss: 2, gradNorm: null, action: "rollback", file: "runs/a/b c.json" })).toBe(
    'step 1,041   rejected: loss 2.000, gradient norm is not finite, first in h.0.mlp.weight; back to the last checkpoint; to repeat it: npx foretoken replay "runs/a/b c.json"',
  );
});

test("a warm-up that the run ends before is a row of the head", () => {
  const { train } = start.config;
  const headOf = (steps: number): readonly string[] =>
    startLines(
      { ...start, config: { ...start.config, train: { ...train, steps, warmupSteps: 100, learningRate: 0.004 } } },
      { why: undefined },
      200,
      style(true),
    );
  expect(headOf(25)).toContain(
    "warm-up    100 steps, more than the run has · the learning rate rises only to 0.001, not to 0.004 · to shorten it: --train.warmupSteps",
  );
  expect(headOf(100).join("\n")).not.toContain("warm-up");
});

test("a learning rate of exactly 0, the last of a schedule, is 0", () => {
  expect([0, 3e-4].map(formatRate)).toEqual(["0", "3.00e-4"]);
});
