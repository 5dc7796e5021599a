import fc from "fast-check";
import pc from "picocolors";
import { describe, expect, test } from "vitest";
import { profileLines } from "#foretoken/cli/display/texts/profile-table.js";
import { evalLines, startLines } from "#foretoken/cli/display/texts/run-text.js";
import { runsLines } from "#foretoken/cli/display/texts/runs-table.js";
import { wrapCommand } from "#foretoken/cli/display/texts/shell.js";
import {
  columns,
  cutText,
  graphemesOf,
  padLeft,
  padRight,
  rowsOf,
  wrapText,
} from "#foretoken/cli/display/texts/width.js";
import { renderPiece } from "#foretoken/cli/lesson/render.js";
import { symbolsFor } from "#foretoken/cli/process/terminal.js";
import type { EvalEvent } from "#foretoken/runs/events.js";
import type { ListedRun } from "#foretoken/runs/list/runs.node.js";
import { resolveConfig } from "#foretoken/train/prepare/prepare.js";
import { start } from "./start-event.ts";

const plain = { symbols: symbolsFor(true), colors: pc.createColors(false) };

describe("columns", () => {
  test.each<[string, number]>([
    ["", 0],
    ["abc", 3],
    ["héllo wörld", 11],
    ["e\u0301", 1],
    ["a\u0308\u0323o", 2],
    ["漢字かな", 8],
    ["한국어", 6],
    ["\u1112\u1161\u11ab", 2],
    ["ｱｲｳ", 3],
    ["ＡＢＣ", 6],
    ["、。", 4],
    ["😀", 2],
    ["👨‍👩‍👧", 2],
    ["👍🏽", 2],
    ["🇩🇪", 2],
    ["❤️", 2],
    ["1️⃣", 2],
    ["हिन्दी", 5],
    ["สวัสดี", 4],
    ["שָׁלוֹם", 4],
    ["a\u200bb\u2060c", 3],
    ["·≈…×●★│→━─", 10],
    ["⠤⡇┤└▏█", 6],
    ["\u001b[1m漢\u001b[22m", 2],
    ["\u{20000}", 2],
  ])("%j takes %i", (text, width) => {
    expect(columns(text)).toBe(width);
  });

  test("of a text are those of its characters together, and one each for ASCII", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), (text) => {
        expect(columns(text)).toBe(graphemesOf(text).reduce((sum, grapheme) => sum + columns(grapheme), 0));
        expect(graphemesOf(text).join("")).toBe(text);
      }),
    );
    fc.assert(
      fc.property(fc.string({ unit: fc.constantFrom(..."abc -_$ü") }), (text) => {
        expect(columns(text)).toBe(text.length);
      }),
    );
  });
});

const anyText = fc.string({ unit: fc.constantFrom(..."ab漢é ", "e\u0301", "👨‍👩‍👧", " ") });

describe("text of any width", () => {
  test("is padded to its width, and cut within it", () => {
    fc.assert(
      fc.property(anyText, fc.integer({ min: 1, max: 20 }), (text, width) => {
        const wide = Math.max(width, columns(text));
        expect([columns(padLeft(text, width)), columns(padRight(text, width))]).toEqual([wide, wide]);
        const cut = cutText(text, width);
        expect(columns(cut)).toBeLessThanOrEqual(width);
        expect(text.startsWith(cut)).toBe(true);
      }),
    );
  });

  test("is wrapped within its width, with nothing lost but spaces, and no word broken that fits", () => {
    fc.assert(
      fc.property(anyText, fc.integer({ min: 2, max: 20 }), (text, width) => {
        const lines = wrapText(text, width);
        for (const line of lines) expect(columns(line)).toBeLessThanOrEqual(width);
        expect(lines.join("").replaceAll(" ", "")).toBe(text.replaceAll(" ", ""));
        const words = text.split(" ").filter((word) => /^[abé]+$/u.test(word) && columns(word) <= width);
        for (const word of words)
          expect(
            lines.some((line) => line.includes(word)),
            `${word} in ${lines}`,
          ).toBe(true);
      }),
    );
  });

  test("takes the rows of a terminal, where a wide character does not stand half in one", () => {
    expect(rowsOf("", 4)).toBe(1);
    expect(rowsOf("abcd", 4)).toBe(1);
    expect(rowsOf("abcde", 4)).toBe(2);
    expect(rowsOf("abc漢d", 4)).toBe(2);
    expect(rowsOf("abc漢de", 4)).toBe(2);
    expect(rowsOf("abc漢字", 4)).toBe(2);
    expect(rowsOf("abc漢字d", 4)).toBe(3);
  });

  test("is broken at spaces, and anywhere in a word that is wider than a line", () => {
    expect(wrapText("one two  three", 9)).toEqual(["one two ", "three"]);
    expect(wrapText("the 注文の多い料理店", 8)).toEqual(["the", "注文の多", "い料理店"]);
    expect(wrapText("unbreakable x", 6)).toEqual(["unbrea", "kable", "x"]);
    expect(wrapText("  indented text", 9)).toEqual(["indented", "text"]);
  });
});

test("a command is broken between its words, with its flags and their values together", () => {
  const command = `npx foretoken generate "my runs/a b" --prompt 'it is "so"' --seed 2 --json > out.jsonl`;
  expect(wrapCommand(command, 200)).toEqual([command]);
  expect(wrapCommand(command, 44)).toEqual([
    `npx foretoken generate "my runs/a b" \\`,
    `  --prompt 'it is "so"' --seed 2 --json \\`,
    "  > out.jsonl",
  ]);
  expect(wrapCommand("npx foretoken train --resume runs/2026-11-26-212932-shakespeare", 42)).toEqual([
    ...["npx foretoken train --resume \\", "  runs/2026-11-26-212932-shakespeare"],
  ]);
  const lines = wrapCommand(`a $'b\\' c' "d \\" e" f`, 12);
  expect(lines).toEqual([`a $'b\\' c' \\`, `  "d \\" e" \\`, "  f"]);
});

const run: ListedRun = {
  ...{ name: "店", path: "runs/注文の多い料理店", state: "finished", preset: "shakespeare", parameters: 800_256 },
  ...{ startedAt: "2026-03-01T10:11:12.000Z", updatedAt: "2026-03-01T10:13:12.000Z", corpus: "料理店.txt 😀" },
  ...{ step: 800, steps: 800, best: { step: 800, valLoss: 1.5555, natsPerCharacter: 1.5555, bitsPerByte: 2.25 } },
  ...{ failure: null, rising: false, corpusSha256: "0".repeat(64), vocabSize: 65, initFrom: null },
  ...{ checkpoint: null, config: resolveConfig("shakespeare", []) },
};

test("a table of runs keeps its columns where names are wide", () => {
  const lines = runsLines([run, { ...run, path: "runs/notes", corpus: "notes.txt" }], 200, plain);
  const places = lines.map((line) => columns(line.slice(0, line.search(/begun|2026/u))));
  expect(new Set(places)).toEqual(new Set([columns("runs/注文の多い料理店") + 2]));
  const ends = lines.slice(1).map((line) => columns(line.slice(0, line.indexOf("800/800"))));
  expect(new Set(ends).size).toBe(1);
});

/** The words of `text`, without list marks. */
const wordsOf = (text: string): ReadonlySet<string> => new Set(text.split(/\s+/u));

test.each([80, 60, 44])("the head of a run and a profile fit into %i columns with their words whole", (width) => {
  const context = { args: [], why: "it is the fastest backend that this machine has and that was compiled" };
  const head = (wide: number): string[] => startLines(start, context, wide, plain);
  const kernel = { kernel: "linearCrossEntropyBackward", calls: 12_000, seconds: 3, flops: 6e11, bytes: 2 ** 31 };
  const profile = (wide: number): string[] =>
    profileLines(
      { v: 1, type: "profile", step: 1000, timedSteps: 1000, seconds: 4, kernels: [kernel as never] },
      wide,
      plain,
    );
  for (const linesIn of [head, profile]) {
    const lines = linesIn(width);
    const known = wordsOf(linesIn(400).join(" "));
    for (const line of lines) {
      expect(columns(line), line).toBeLessThanOrEqual(width);
      for (const word of line.trim().split(/\s+/u)) expect(known, `${word} in ${line}`).toContain(word);
    }
  }
});

test("the further line of a step begins below its first figure", () => {
  const event = {
    ...{ v: 1, type: "eval", step: 50, valLoss: 2.5, trainLoss: 2.25, bitsPerByte: 3.783, best: true },
  } as unknown as EvalEvent;
  const [line = "", further = "", ...more] = evalLines(event, 1000, 60, plain);
  expect(more).toEqual([]);
  expect(further.trimStart()).toBe("3.783 bits/byte   ★ best");
  expect(further.search(/\S/u)).toBe(line.indexOf("val"));
});

test.each([80, 60, 44])(
  "tables and bars of a lesson break no word in %i columns, and keep wide ones aligned",
  (width) => {
    const cells = ["a context that is long enough to be wrapped somewhere", "ひらがな と カタカナ"];
    const table = renderPiece(
      {
        kind: "table",
        columns: [
          { title: "after", align: "left" },
          { title: "the model's next character", align: "left" },
          { title: "loss", align: "right" },
        ],
        rows: cells.map((cell) => [cell, cell, "4.17"]),
      },
      width,
      plain,
    );
    const bars = renderPiece(
      { kind: "bars", bars: cells.map((label) => ({ label, value: 4, shown: "4.00" })) },
      width,
      plain,
    );
    const known = wordsOf(`${cells.join(" ")} after the model's next character loss 4.17 4.00`);
    for (const line of [...table, ...bars]) {
      expect(columns(line), line).toBeLessThanOrEqual(width);
      for (const word of line.trim().split(/\s+/u)) {
        if (!/^[█▏▎▍▌▋▊▉]+$/u.test(word)) expect(known, `${word} in ${line}`).toContain(word);
      }
    }
    const ends = table.filter((line) => line.endsWith("4.17")).map(columns);
    expect(new Set(ends).size).toBe(1);
  },
);
