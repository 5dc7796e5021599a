import { spawn, spawnSync } from "node:child_process";
import { createInterface } from "node:readline";
import { PassThrough, Writable } from "node:stream";
import pc from "picocolors";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import type { CurvePoint } from "#foretoken/cli/display/drawing/canvas.js";
import { liveFrame } from "#foretoken/cli/display/drawing/live-frame.js";
import { liveRegion } from "#foretoken/cli/display/drawing/live-region.js";
import { keyboardOf } from "#foretoken/cli/interactive/loop.js";
import { openResizable } from "#foretoken/cli/interactive/resize.js";
import { type Stage, showOnTerminal } from "#foretoken/cli/lesson/show.js";
import { symbolsFor } from "#foretoken/cli/process/terminal.js";
import type { Lesson, Piece } from "#foretoken/lesson/piece.js";
import { type ScreenModel, screenModel } from "../../support/screen.ts";
import { cli, program, tiny, workplace } from "../cli.ts";

// The time limit is far longer than any test takes, because a machine may be slow or busy.
vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 });

const style = { symbols: symbolsFor(true), colors: pc.createColors(true) };
const sizes: readonly (readonly [columns: number, rows: number])[] = [
  ...([
    [44, 24],
    [80, 24],
    [60, 12],
    [100, 40],
    [44, 12],
    [120, 30],
    [30, 24],
    [80, 24],
  ] as const),
];

const falling = (steps: number): CurvePoint[] =>
  Array.from({ length: steps }, (_, i) => ({ step: i + 1, loss: 1.5 + 2.7 * Math.exp(-i / 40) }));

test("the model of a screen wraps its lines anew, as terminals do", () => {
  const screen = screenModel(10, 4);
  screen.write("one\r\ntwo 中中中中\u001b[31mx\u001b[39m");
  expect(screen.visible()).toEqual(["one", "two 中中中", "中x"]);
  screen.resize(4, 4);
  expect(screen.all()).toEqual(["one", "two", "中中", "中中", "x"]);
  screen.write("\r\u001b[1A\u001b[K!");
  expect(screen.all()).toEqual(["one", "two", "中中", "!", "x"]);
  screen.write("\u001b[J");
  expect(screen.all()).toEqual(["one", "two", "中中", "!"]);
  screen.resize(20, 4);
  expect(screen.all()).toEqual(["one", "two 中中!"]);
});

test.each([true, false])(
  "the live view of train leaves nothing behind where the size changes (rows come back: %s)",
  (pulls) => {
    const screen = screenModel(80, 24, pulls);
    const region = liveRegion({
      get columns() {
        return screen.columns;
      },
      get rows() {
        return screen.rows;
      },
      reflows: true,
      write: (text) => screen.write(text.replaceAll("\n", "\r\n")),
    });
    const frame = (): string[] =>
      liveFrame(
        {
          ...{
            step: 412,
            steps: 1000,
            loss: 1.874,
            smoothedLoss: 1.912,
            learningRate: 2.83e-3,
            tokensPerSecond: 31_204,
          },
          ...{ secondsLeft: 52, activity: undefined, train: falling(412), validation: [{ step: 200, loss: 2 }] },
        },
        screen.columns - 1,
        screen.rows,
        { symbols: symbolsFor(true), colors: pc.createColors(false) },
      );
    const heading = "text       注文の多い料理店.txt · 100,000 tokens";
    region.print([heading]);
    region.draw(frame());
    for (const [columns, rows] of sizes) {
      screen.resize(columns, rows);
      region.draw(frame());
      const expected = frame().map((line) => line.trimEnd());
      const visible = screen.visible();
      expect(visible.slice(-expected.length), `${columns} × ${rows}`).toEqual(expected);
      // The rows above the region contain only the end of the permanent lines.
      const above = visible.slice(0, -expected.length);
      const lasting = wrapRows(heading, columns);
      expect(above, `${columns} × ${rows}`).toEqual(lasting.slice(lasting.length - above.length));
    }
    region.settle();
  },
);

test("a region goes back over one row for each line where the terminal cuts lines", () => {
  const written: string[] = [];
  const screen = { columns: 80, rows: 24, reflows: false, write: (text: string) => written.push(text) };
  const region = liveRegion(screen);
  region.draw(["x".repeat(79), "y".repeat(79)]);
  screen.columns = 20;
  region.draw(["z"]);
  expect(written[1]).toMatch(/^\r\u001b\[2A/u);
});

/** The rows into which a terminal wraps a line. */
const wrapRows = (line: string, columns: number): readonly string[] => {
  const screen = screenModel(columns, 100);
  screen.write(line);
  return screen.visible();
};

describe("a lesson", () => {
  const prose = (text: string): Piece => ({ kind: "prose", text });
  const chart = (step: number, final = false): Piece => ({
    kind: "curves",
    id: "c",
    curves: [{ name: "loss", points: falling(step) }],
    levels: [],
    steps: 20,
    final,
  });
  const pieces: readonly Piece[] = [
    { kind: "title", part: "pairs", text: "One text, many examples" },
    prose("A causal language model reads a sequence, and at every position at once predicts the next token of it."),
    { kind: "heading", text: "A heading" },
    prose("机械学习 のモデルは次の文字を予測する, which is a text with wide characters in it that has to be wrapped."),
    ...Array.from({ length: 5 }, (_, i) => chart(4 * i + 2)),
    chart(20, true),
    { kind: "pause" },
    prose("After the pause."),
  ];

  /** Shows the pieces on `screen`. Calls `atPiece` before each piece, and `atKey` at each pause. */
  const show = async (
    screen: ScreenModel,
    { atPiece = () => {}, atKey = () => {} }: { atPiece?: (index: number) => void; atKey?: () => void },
    resized: { call: () => void },
  ): Promise<void> => {
    async function* lesson(): Lesson {
      for (const [index, piece] of pieces.entries()) {
        atPiece(index);
        yield piece;
      }
    }
    let time = 0;
    const stage: Stage = {
      get columns() {
        return screen.columns;
      },
      get rows() {
        return screen.rows;
      },
      write: (text) => screen.write(text.replaceAll(/(?<!\r)\n/gu, "\r\n")),
      reflows: true,
      reflowsCursorLine: true,
      checkSize: () => {},
      onResize: (listener) => {
        resized.call = listener;
        return () => {};
      },
      nextWish: async () => {
        atKey();
        return "continue";
      },
      now: () => {
        time += 1000;
        return time;
      },
    };
    await showOnTerminal(lesson(), stage, style);
  };

  const fresh = async (columns: number, rows: number): Promise<readonly string[]> => {
    const screen = screenModel(columns, rows);
    let shown: readonly string[] = [];
    await show(screen, { atKey: () => (shown = screen.visible()) }, { call: () => {} });
    return shown;
  };

  test("is drawn anew at its pause, as if the terminal had always had that size", async () => {
    const screen = screenModel(80, 40);
    const resized = { call: () => {} };
    const seen: (readonly string[])[] = [];
    const tall = [...sizes].map(([columns]) => [columns, 40] as const);
    const atKey = (): void => {
      for (const [columns, rows] of tall) {
        screen.resize(columns, rows);
        resized.call();
        seen.push(screen.visible());
      }
    };
    await show(screen, { atKey }, resized);
    for (const [i, [columns, rows]] of tall.entries()) expect(seen[i]).toEqual(await fresh(columns, rows));
    expect(screen.visible().at(-1)).toBe("After the pause.");
    expect(screen.all().filter((row) => row.includes("Enter"))).toEqual([]);
  });

  test("is drawn anew while its chart grows", async () => {
    const screen = screenModel(80, 40);
    const resized = { call: () => {} };
    const atPiece = (index: number): void => {
      const [columns = 80] = sizes[index] ?? [];
      screen.resize(columns, 40);
      resized.call();
    };
    let shown: readonly string[] = [];
    await show(screen, { atPiece, atKey: () => (shown = screen.visible()) }, resized);
    expect(shown).toEqual(await fresh(80, 40));
  });

  test("shows its end and the way on where the terminal has become too small for the screen", async () => {
    const screen = screenModel(80, 40);
    const resized = { call: () => {} };
    let shown: readonly string[] = [];
    const atKey = (): void => {
      screen.resize(44, 9);
      resized.call();
      shown = screen.visible();
    };
    await show(screen, { atKey }, resized);
    expect(shown).toHaveLength(9);
    expect(shown.at(-1)).toMatch(/^ ?Enter: continue/u);
    expect(shown.at(-2)).toMatch(/loss \d\.\d\d$/u);
  });
});

describe("the typed line of generate --interactive", () => {
  const open = () => {
    const screen = screenModel(40, 12);
    const output = Object.assign(
      new Writable({
        write: (chunk, _, done) => {
          screen.write(String(chunk).replaceAll(/(?<!\r)\n/gu, "\r\n"));
          done();
        },
      }),
      { columns: 40, isTTY: true },
    );
    const input = new PassThrough();
    const readline = openResizable(
      output,
      () => createInterface({ input, output, terminal: true, prompt: "> " }),
      () => keys.isAsking(),
      true,
    );
    const keys = keyboardOf(readline);
    const resize = (columns: number): void => {
      screen.resize(columns, 12);
      output.columns = columns;
      output.emit("resize");
    };
    return { screen, output, input, readline, keys, resize };
  };

  const typed = "The quick brown fox 跳过 the lazy dog, and then it sleeps!!";

  test("is there once, whatever the width becomes, and the text above it stays", async () => {
    const { screen, output, input, readline, keys, resize } = open();
    output.write("the model's text\nin two lines\n");
    const line = keys.next();
    input.write(typed);
    await new Promise(setImmediate);
    for (const columns of [20, 60, 33, 120, 15, 40]) {
      resize(columns);
      const own = screenModel(columns, 100);
      own.write(`> ${typed}`);
      const above = ["the model's text", "in two lines"].flatMap((text) => wrapRows(text, columns));
      expect(screen.all(), `${columns} columns`).toEqual([...above, ...own.visible()]);
    }
    input.write("\r");
    expect(await line).toBe(typed);
    readline.close();
  });

  test("is not drawn over a text that is being written", async () => {
    const { screen, output, readline, keys, resize } = open();
    await keys.interruptible(async () => {
      output.write("to be, or not");
      resize(20);
      output.write(" to be");
    });
    expect(screen.all().join("")).toBe("to be, or not to be");
    readline.close();
    expect(output.listenerCount("resize")).toBe(0);
  });
});

const hasScript = spawnSync("script", ["-qec", "true", "/dev/null"]).status === 0;

describe.skipIf(!hasScript)(
  `in a pseudo-terminal${hasScript ? "" : " (there is no util-linux script to make one)"}`,
  () => {
    let cwd: string;
    let remove: () => Promise<void>;
    beforeAll(async () => {
      ({ cwd, remove } = await workplace());
      await cli(["train", ...tiny, "--out", "run"], { cwd });
    });
    afterAll(() => remove());

    /**
     * Starts the program in a terminal of 80 × 30. When `ready` is on the screen, sets the width to `columns`. When the
     * program has redrawn the screen, types `keys`. Returns the screen after the redraw, and the screen at the end.
     */
    const resized = (
      args: readonly string[],
      { ready, columns, keys }: { readonly ready: RegExp; readonly columns: number; readonly keys: string },
    ): Promise<{ readonly anew: readonly string[]; readonly end: ScreenModel }> =>
      new Promise((resolve, reject) => {
        const run = [process.execPath, program, ...args].map((word) => `'${word}'`).join(" ");
        const child = spawn("script", ["-qec", `stty cols 80 rows 30; tty; exec ${run}`, "/dev/null"], {
          cwd,
          env: { ...process.env, TERM: "xterm-256color", LC_ALL: "C.UTF-8", SHELL: "/bin/sh", NO_COLOR: "1" },
          stdio: ["pipe", "pipe", "inherit"],
        });
        const screen = screenModel(80, 30);
        let text = "";
        let since: number | undefined;
        let anew: readonly string[] | undefined;
        child.stdout.setEncoding("utf8").on("data", (part: string) => {
          text += part;
          screen.write(part);
          if (since === undefined && ready.test(text)) {
            since = text.length;
            screen.resize(columns, 30);
            const device = /^(\/dev\/\S+)/mu.exec(text)?.[1] ?? "";
            expect(spawnSync("stty", ["-F", device, "cols", String(columns)]).status).toBe(0);
          } else if (since !== undefined && anew === undefined && ready.test(text.slice(since))) {
            anew = screen.visible();
            child.stdin.write(keys);
          }
        });
        child.on("error", reject).on("close", () => {
          if (anew === undefined) reject(new Error(`not drawn anew: ${JSON.stringify(text)}`));
          else resolve({ anew, end: screen });
        });
      });

    test("a lesson's screen is drawn in the new width", async () => {
      const args = ["lesson", "pairs", "--data", "text.txt", "--backend", "reference"];
      const { anew, end } = await resized(args, { ready: /q: end $/u, columns: 44, keys: "q" });
      const text = anew.slice(1);
      expect(text.filter((row) => row.includes("PAIRS"))).toHaveLength(1);
      expect(text.at(-1)).toBe(" Enter: continue · q: end");
      for (const row of text) expect(row.length).toBeLessThan(44);
      expect(end.all().filter((row) => row.includes("Enter"))).toEqual([]);
    });

    test("the prompt of generate --interactive is there once", async () => {
      const args = ["generate", "run", "--interactive", "--backend", "reference"];
      const { anew } = await resized(args, { ready: /> [^>]*$/u, columns: 44, keys: "\u0004" });
      expect(anew.filter((row) => row.startsWith(">"))).toHaveLength(1);
      expect(anew.at(-1)).toBe(">");
    });
  },
);
