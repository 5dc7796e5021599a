import { describe, expect, test } from "vitest";
import { comparableRuns, groupedLines, runsLines, runsNextLines } from "#foretoken/cli/display/texts/runs-table.js";
import { columns } from "#foretoken/cli/display/texts/width.js";
import type { ListedRun } from "#foretoken/runs/list/runs.node.js";
import { resolveConfig } from "#foretoken/train/prepare/prepare.js";
import { style } from "./style.ts";

const listed = (changes: Partial<ListedRun>): ListedRun => ({
  name: "notes",
  path: "runs/2026-03-01-101112-shakespeare",
  state: "finished",
  failure: null,
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
    // A shell joins the lines of a command in this way.
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

  describe("of different tokenizers or texts", () => {
    const pieces = listed({
      path: "runs/pieces",
      vocabSize: 2048,
      best: { step: 700, valLoss: 4.487, natsPerCharacter: 1.4, bitsPerByte: 2.019 },
    });
    const mixed = [
      listed({ path: "runs/characters" }),
      pieces,
      listed({ path: "runs/new", corpusSha256: "fedcba", best: null }),
    ];

    test("has bits per byte beside the losses, which do not compare", () => {
      const [titles = "", first = "", second = "", third = ""] = runsLines(mixed, 160, style(true));
      expect(titles).toMatch(/best loss {2}bits\/byte {2}state$/u);
      expect(first).toMatch(/ 1\.556 at 800 {6}2\.250 {2}finished$/u);
      expect(second).toMatch(/ 4\.487 at 700 {6}2\.019 {2}finished$/u);
      expect(third.indexOf("finished")).toBe(titles.indexOf("state"));
      for (const one of [mixed.slice(0, 1), [pieces, pieces]]) {
        expect(runsLines(one, 160, style(true)).join()).not.toContain("bits");
      }
      const grouped = groupedLines(comparableRuns(mixed), 160, style(true));
      expect(grouped.filter((line) => line.includes("bits/byte"))).toHaveLength(3);
    });

    test.each([30, 40, 60, 80, 100])("fits into %i columns", (width) => {
      const lines = runsLines(mixed, width, style(true, true));
      for (const line of lines) expect(columns(line)).toBeLessThanOrEqual(width);
      const plain = runsLines(mixed, width, style(true)).join(" ");
      expect(plain).toContain("2.019 bits/byte");
      expect(plain.match(/bits\/byte/gu)).toHaveLength(2);
    });
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
    const others = runsLines(runs, 80, style(false), new Set(["runs/b"]));
    expect(others[4]).toBe("  3/800 steps - training");
    expect(others[1]).toBe(lines[1]);
  });
});
