import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import pc from "picocolors";
import { describe, expect, test } from "vitest";
import type { CurvePoint } from "#foretoken/cli/display/drawing/canvas.js";
import { type LiveState, liveFrame } from "#foretoken/cli/display/drawing/live-frame.js";
import { liveRegion } from "#foretoken/cli/display/drawing/live-region.js";
import { lossCurve, shownSteps } from "#foretoken/cli/display/drawing/loss-curve.js";
import { lossHistory } from "#foretoken/cli/display/drawing/loss-history.js";
import { pastLosses } from "#foretoken/cli/display/drawing/past-losses.js";
import { flow, formatBytes, formatDuration, formatSeconds, formatShort } from "#foretoken/cli/display/texts/format.js";
import { profileLines } from "#foretoken/cli/display/texts/profile-table.js";
import { comparableRuns, groupedLines, runsLines, runsNextLines } from "#foretoken/cli/display/texts/runs-table.js";
import { nonfiniteText, overfittingText } from "#foretoken/cli/display/texts/warning-text.js";
import { columns, wrapText } from "#foretoken/cli/display/texts/width.js";
import { printable, symbolsFor } from "#foretoken/cli/terminal.js";
import { presets } from "#foretoken/train/config/presets.js";
import type { ListedRun } from "#foretoken/train/folder/runs.node.js";
import { resolveConfig } from "#foretoken/train/prepare/prepare.js";

const style = (unicode: boolean, colored = false) => ({
  symbols: symbolsFor(unicode),
  colors: pc.createColors(colored),
});

const falling = (steps: number): CurvePoint[] =>
  Array.from({ length: steps }, (_, i) => ({ step: i + 1, loss: 1.5 + 2.7 * Math.exp(-i / 40) }));

const braille = /[\u2801-\u28ff]/u;

describe("the loss curve", () => {
  const train = falling(300);
  const validation = [100, 200, 300].map((step) => ({ step, loss: 1.9 }));

  test.each([20, 40, 50, 80, 120, 200])("fits into %i columns, with every evaluation marked", (width) => {
    for (const unicode of [true, false]) {
      const lines = lossCurve({ train, validation, steps: 300 }, { width, height: 8 }, style(unicode, true));
      expect(lines).toHaveLength(10);
      for (const line of lines) expect(columns(line)).toBeLessThanOrEqual(width);
      const plot = lines.slice(0, 8).join("");
      expect(plot.split(unicode ? "●" : "o")).toHaveLength(1 + validation.length);
      expect(braille.test(plot)).toBe(unicode);
    }
  });

  test("is drawn in ASCII alone where there is no Unicode", () => {
    const lines = lossCurve({ train, validation, steps: 300 }, { width: 60, height: 6 }, style(false));
    expect(lines.join("")).toMatch(/^[ -~]+$/u);
  });

  test("falls from the upper left to the lower right, labelled with its highest and lowest loss", () => {
    const lines = lossCurve({ train, validation: [], steps: 300 }, { width: 60, height: 8 }, style(true));
    expect(lines[0]).toMatch(/^4\.20 ┤/u);
    expect(lines[7]).toMatch(/^1\.50 ┤/u);
    const first = lines.map((line) => line.search(braille)).slice(0, 8);
    expect([...first].sort((a, b) => a - b)).toEqual(first);
    expect(lines[7]?.trimEnd().length).toBe(60);
  });

  test("leaves the rest of the plan empty", () => {
    const [wide] = [
      lossCurve({ train: falling(100), validation: [], steps: 1000 }, { width: 100, height: 4 }, style(true)),
    ];
    for (const line of wide.slice(0, 4)) expect(line.length).toBeLessThan(20);
  });

  test("is empty without points or without room", () => {
    expect(lossCurve({ train: [], validation: [], steps: 10 }, { width: 80, height: 8 }, style(true))).toEqual([]);
    expect(lossCurve({ train, validation, steps: 300 }, { width: 12, height: 8 }, style(true))).toEqual([]);
    expect(lossCurve({ train, validation, steps: 300 }, { width: 80, height: 0 }, style(true))).toEqual([]);
  });

  const odd: readonly (readonly [string, readonly CurvePoint[]])[] = [
    ["one point", [{ step: 1, loss: 4.17 }]],
    ["a constant", falling(50).map(({ step }) => ({ step, loss: 2 }))],
    [
      "zero",
      [
        { step: 1, loss: 0 },
        { step: 2, loss: 1 },
      ],
    ],
    [
      "huge",
      [
        { step: 1, loss: 1e30 },
        { step: 2, loss: 1 },
      ],
    ],
    [
      "not finite",
      [
        { step: 1, loss: Number.NaN },
        { step: 2, loss: 3 },
        { step: 3, loss: Number.POSITIVE_INFINITY },
      ],
    ],
    [
      "beyond the plan",
      [
        { step: 1, loss: 3 },
        { step: 900, loss: 2 },
      ],
    ],
  ];
  test.each(odd)("draws %s", (_, points) => {
    const lines = lossCurve({ train: points, validation: points, steps: 50 }, { width: 80, height: 8 }, style(true));
    expect(lines).toHaveLength(10);
    expect(lines.join("")).not.toMatch(/NaN|Infinity|undefined/u);
    expect(lines.join("")).toContain("●");
    for (const line of lines) expect(columns(line)).toBeLessThanOrEqual(80);
  });

  test("is not flattened by one lucky step", () => {
    const points = falling(5000).map((point) => (point.step === 4000 ? { ...point, loss: 0.001 } : point));
    const lines = lossCurve({ train: points, validation: [], steps: 5000 }, { width: 60, height: 8 }, style(true));
    expect(Number.parseFloat(lines[7] ?? "")).toBeGreaterThan(1.4);
  });

  test("shows a young run larger than the plan would", () => {
    expect([1, 60, 63, 64, 130, 500, 501, 1000].map((step) => shownSteps(step, 1000))).toEqual([
      ...[63, 63, 63, 125, 250, 500, 1000, 1000],
    ]);
  });
});

test("a resumed run's curve begins with the losses that were noted, as far as they can be read", async () => {
  const folder = await mkdtemp(join(tmpdir(), "foretoken-display-"));
  expect(await pastLosses(folder)).toEqual({ train: [], validation: [] });
  const lines = [
    '{"type":"start","step":0}',
    '{"type":"step","step":1,"loss":2.5}',
    '{"type":"step","step":2,"loss":null}',
    '{"type":"step","step":"3","loss":2}',
    '{"type":"eval","step":2,"valLoss":2.25,"trainLoss":2.4}',
    "null",
    '[{"type":"step"}]',
    '{"type":"step","step":4,"lo',
  ];
  await writeFile(join(folder, "metrics.jsonl"), lines.join("\n"));
  expect(await pastLosses(folder)).toEqual({
    train: [{ step: 1, loss: 2.5 }],
    validation: [{ step: 2, loss: 2.25 }],
  });
  await rm(folder, { recursive: true });
});

test("the history of losses stays bounded, in order, and keeps the mean", () => {
  const history = lossHistory(64);
  for (const { step } of falling(10_000)) history.add(step, step);
  const points = history.points();
  expect(points.length).toBeLessThanOrEqual(65);
  expect(points.map(({ step }) => step)).toEqual(points.map(({ step }) => step).sort((a, b) => a - b));
  expect(points.at(-1)?.step).toBe(10_000);
  const [first, second] = points;
  expect(first?.loss).toBe((1 + (first?.step ?? 0)) / 2);
  expect(second?.loss).toBe((1 + (first?.step ?? 0) + (second?.step ?? 0)) / 2);
});

const state: LiveState = {
  step: 412,
  steps: 1000,
  loss: 1.874,
  smoothedLoss: 1.912,
  learningRate: 2.83e-3,
  tokensPerSecond: 31_204.2,
  secondsLeft: 52,
  activity: undefined,
  train: falling(412),
  validation: [{ step: 200, loss: 2 }],
};

describe("the live frame", () => {
  test.each([40, 50, 80, 120, 200])("fits into %i columns and any number of rows", (width) => {
    for (const rows of [3, 10, 24, 60]) {
      for (const unicode of [true, false]) {
        const lines = liveFrame(state, width, rows, style(unicode, true));
        for (const line of lines) expect(columns(line)).toBeLessThanOrEqual(width);
        expect(lines.length).toBeLessThanOrEqual(Math.max(4, rows - 2));
      }
    }
  });

  test("says where the run is", () => {
    const shown = liveFrame(state, 100, 24, style(true)).join("\n");
    for (const words of [
      "412/1,000",
      "41%",
      "0:52 left",
      "loss 1.912",
      "this step 1.874",
      "lr 2.83e-3",
      "31,204 tokens/s",
    ]) {
      expect(shown).toContain(words);
    }
  });

  test("needs no step to have been done", () => {
    const before = { ...state, step: 0, train: [], validation: [], loss: undefined, smoothedLoss: undefined };
    const lines = liveFrame(
      { ...before, learningRate: undefined, tokensPerSecond: undefined, secondsLeft: undefined },
      80,
      24,
      style(true),
    );
    expect(lines.join("\n")).toMatch(/^step {5}0\/1,000 ─+ {3}0%$/u);
  });
});

const listed = (changes: Partial<ListedRun>): ListedRun => ({
  name: "notes",
  path: "runs/2026-03-01-101112-shakespeare",
  state: "finished",
  startedAt: "2026-03-01T10:11:12.000Z",
  updatedAt: "2026-03-01T10:13:12.000Z",
  preset: "shakespeare",
  parameters: 800_256,
  corpus: "tiny-shakespeare",
  corpusSha256: "0123456789abcdef",
  vocabSize: 65,
  step: 800,
  steps: 800,
  best: { step: 800, valLoss: 1.5555, natsPerCharacter: 1.5555, bitsPerByte: 2.25 },
  rising: false,
  checkpoint: null,
  initFrom: null,
  config: resolveConfig("shakespeare", []),
  ...changes,
});

describe("the list of runs", () => {
  const runs = [
    listed({}),
    listed({ state: "unfinished", best: null, step: 3, preset: null, parameters: null, path: "runs/b" }),
  ];

  test.each([40, 60, 80, 120, 200])("fits into %i columns", (width) => {
    for (const unicode of [true, false]) {
      const lines = runsLines(runs, width, style(unicode, true));
      for (const line of lines) expect(columns(line)).toBeLessThanOrEqual(width);
      if (!unicode) expect(lines.join("").replaceAll(/\u001b\[\d+m/gu, "")).toMatch(/^[ -~]+$/u);
    }
  });

  test("is a table where there is room, with its columns in line", () => {
    const [titles = "", first = "", second = ""] = runsLines(runs, 140, style(true));
    expect(first).toMatch(
      /^runs\/2026-03-01-101112-shakespeare {2}\S+ \S+ {2}shakespeare 800k {2}tiny-shakespeare {2}800\/800 {2}1\.556 at 800 {2}finished$/u,
    );
    expect(second).toContain("4×128 ");
    for (const word of ["begun", "model", "text", "state"]) expect(titles[titles.indexOf(word) - 1]).toBe(" ");
    expect(first.indexOf("finished")).toBe(second.indexOf("unfinished"));
    expect(first.indexOf("finished")).toBe(titles.indexOf("state"));
  });

  test.each([40, 200])("shows names with control characters in one line and without them, in %i columns", (width) => {
    const named = [listed({ path: "runs/a\u001b[31m\nb", corpus: "c\u0007\n.txt" })];
    const lines = runsLines(named, width, style(true));
    expect(lines.join("")).not.toMatch(/\p{Cc}/u);
    expect(lines.join(" ")).toContain("runs/a\u241b[31m\u240ab");
    expect(lines.join(" ")).toContain("c\u2407\u240a.txt");
    expect(lines).toHaveLength(runsLines([listed({ path: "runs/a b", corpus: "c.txt" })], width, style(true)).length);
  });

  test.each([44, 60, 80])("is grouped by text and ends with what to try next, within %i columns", (width) => {
    const others = [
      ...[listed({ corpus: "another text with a long name.txt", corpusSha256: "fedcba", vocabSize: 90 }), listed({})],
      ...[
        listed({ vocabSize: null, best: null, state: "unfinished" }),
        listed({ vocabSize: 66, state: "interrupted" }),
      ],
    ].map((run, i) => ({ ...run, path: `runs/${i}`, checkpoint: `runs/${i}/checkpoint` }));
    const groups = comparableRuns(others);
    expect(groups.map((group) => group.map(({ path }) => path))).toEqual([
      ["runs/0"],
      ["runs/1", "runs/2"],
      ["runs/3"],
    ]);
    const lines = [
      ...groupedLines(groups, width, style(true, true)),
      ...runsNextLines(others, width, style(true, true)),
    ];
    for (const line of lines) expect(columns(line)).toBeLessThanOrEqual(width);
    expect(groupedLines([others], width, style(true))).toEqual(runsLines(others, width, style(true)));
    // A shell joins the lines of a command.
    const next = runsNextLines(others, width, style(true))
      .join("\n")
      .replaceAll(/ \\\n +/gu, " ");
    expect(next).toContain("npx foretoken train --resume runs/3");
    expect(next).toContain("npx foretoken train --resume runs/0 --steps 2400");
    expect(runsNextLines([listed({ state: "patience" })], width, style(true)).join("\n")).not.toContain("train");
    const rising = others.map((run) => ({ ...run, rising: run.path === "runs/0" }));
    expect(runsNextLines(rising, 200, style(true)).join("\n")).toContain("train --resume runs/1 --steps");
    expect(next).toContain("npx foretoken studio");
    expect(runsNextLines([], width, style(true))).toEqual([]);
  });

  test("has tables for all groups or for none", () => {
    const short = listed({ path: "runs/a", corpus: "a.txt", corpusSha256: "fedcba" });
    const groups = comparableRuns([listed({}), short]);
    expect(groups).toHaveLength(2);
    const isTable = (line: string): boolean => line.startsWith("run ");
    expect(runsLines([short], 100, style(true)).filter(isTable)).toHaveLength(1);
    expect(groupedLines(groups, 100, style(true)).filter(isTable)).toHaveLength(0);
    expect(groupedLines(groups, 200, style(true)).filter(isTable)).toHaveLength(2);
  });

  test("is a block for each elsewhere, which leaves out what is not known", () => {
    const lines = runsLines(runs, 80, style(false));
    expect(lines[1]).toBe("  1.556 nats/token at 800 - 800/800 steps - finished");
    expect(lines[4]).toBe("  3/800 steps - unfinished");
  });
});

describe("where the time went", () => {
  const kernels = [
    { kernel: "linearForward", calls: 1200, seconds: 3, flops: 6e11, bytes: 2 ** 31 },
    { kernel: "add", calls: 40, seconds: 0.5, flops: 0, bytes: 1e9 },
  ] as const;
  const event = { v: 1, type: "profile", step: 20, timedSteps: 20, seconds: 4, kernels } as const;

  test("is a line a kernel, products by their arithmetic and the rest by bytes, then what is outside", () => {
    expect(profileLines(event, 100, style(true))).toEqual([
      "Where 4.0 s went, of 20 steps with evaluations, samples and checkpoints:",
      "kernel                time  share  calls         rate      bytes",
      "linearForward        3.0 s  75.0%  1,200  200 GFLOP/s    2.0 GiB",
      "add                 500 ms  12.5%     40     2.0 GB/s  953.7 MiB",
      "outside of kernels  500 ms  12.5%",
    ]);
  });

  test("counts the steps that were timed, and says which", () => {
    expect(profileLines({ ...event, step: 1020 }, 200, style(true))[0]).toBe(
      "Where 4.0 s went, of 20 steps (1,001 to 1,020, since the run went on) with evaluations, samples and checkpoints:",
    );
    expect(profileLines({ ...event, timedSteps: 0 }, 100, style(true))[0]).toContain("of 0 steps with evaluations");
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

/** The screen of a terminal after `text`: it knows the escape codes of the region. */
const terminal = (width: number) => {
  const rows: string[] = [""];
  let row = 0;
  return {
    columns: width,
    rows: 24,
    reflows: true,
    lines: rows,
    write(text: string): void {
      for (const [part] of text.matchAll(/\p{Cc}\[\d*[A-Z]|\r|\n|\P{Cc}+/gu)) {
        const up = /^\p{Cc}\[(\d+)A$/u.exec(part);
        if (up !== null) row = Math.max(0, row - Number(up[1]));
        else if (part === "\n") {
          row++;
          rows[row] ??= "";
        } else if (part === "\u001b[J") rows.splice(row, rows.length, "");
        else if (!part.startsWith("\u001b") && part !== "\r") rows[row] = part;
      }
    },
  };
};

describe("the live region", () => {
  test("is redrawn in place, with lasting lines above it", () => {
    const screen = terminal(20);
    const region = liveRegion(screen);
    region.draw(["a", "b", "c"]);
    region.draw(["d", "e"]);
    region.print(["lasting"]);
    region.draw(["f"]);
    expect(screen.lines).toEqual(["lasting", "f", ""]);
    region.settle();
    region.draw(["g"]);
    expect(screen.lines).toEqual(["lasting", "f", "g", ""]);
  });

  test("goes back over the rows that its lines take since the terminal became narrow", () => {
    const written: string[] = [];
    const screen = { columns: 10, rows: 24, reflows: true, write: (text: string) => written.push(text) };
    const region = liveRegion(screen);
    region.draw(["x".repeat(9), "yy"]);
    screen.columns = 4;
    region.draw(["z"]);
    expect(written[1]).toContain("\r\u001b[4A");
  });
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
    "step 600   validation loss has turned: 2.310, after 1.780 at step 200; best/ keeps those weights; try more text";
  expect(overfittingText(turned, begun(null, 0, 0))).toBe(
    `${turning}, --model.dropout 0.1, a smaller model or --patience 3`,
  );
  // Nothing that the run does already.
  expect(overfittingText(turned, begun(null, 0.2, 3))).toBe(`${turning}, --model.dropout 0.3 or a smaller model`);
  expect(overfittingText(turned, begun("base", 0.4, 3))).toBe(`${turning} or a lower --learning-rate`);
  const bad = { v: 1, type: "nonfinite", step: 1041, loss: null, gradNorm: 1.5e9, tensor: "h.0.mlp.weight" } as const;
  expect(nonfiniteText({ ...bad, action: "skip", file: null })).toBe(
    "step 1,041   not taken: loss is not finite, gradient norm 1.500e+9, first in h.0.mlp.weight; skipped",
  );
  expect(nonfiniteText({ ...bad, loss: 2, gradNorm: null, action: "rollback", file: "runs/a/b c.json" })).toBe(
    'step 1,041   not taken: loss 2.000, gradient norm is not finite, first in h.0.mlp.weight; back to the last checkpoint; to repeat it: npx foretoken replay "runs/a/b c.json"',
  );
});
