import { EventEmitter } from "node:events";
import { afterEach, describe, expect, it } from "vitest";
import { type KeyHandlers, type Keys, readKeys, type Wish } from "#foretoken/cli/lesson/keys.js";
import { type Stage, showOnTerminal } from "#foretoken/cli/lesson/show.js";
import type { Lesson, Piece } from "#foretoken/lesson/piece.js";
import { plainText, replay, uncoloured } from "./screens.ts";

const prose = (text: string): Piece => ({ kind: "prose", text });
const pause: Piece = { kind: "pause" };
const chart = (id: string, step: number, final = false): Piece => ({
  kind: "curves",
  id,
  curves: [{ name: "loss", points: Array.from({ length: step + 1 }, (_, i) => ({ step: i, loss: 4 - i / 10 })) }],
  levels: [],
  steps: 20,
  final,
});

/** A terminal with a user who presses these keys and then quits. */
const stageOf = (wishes: readonly Wish[], rows = 24) => {
  let written = "";
  const screens: string[] = [];
  const left = [...wishes];
  let time = 0;
  const stage: Stage = {
    columns: 80,
    rows,
    write: (text) => {
      written += text;
    },
    reflows: true,
    reflowsCursorLine: true,
    checkSize: () => {},
    onResize: () => () => {},
    nextWish: async () => {
      screens.push(written);
      written = "";
      return left.shift() ?? "end";
    },
    now: () => {
      time += 60;
      return time;
    },
  };
  return { stage, text: () => [...screens, written].join("<key>"), screens: () => [...screens, written] };
};

const shownRows = (screen: string): number => screen.split("\n").length - 1;

describe("on a terminal", () => {
  it("waits for a key at a pause, and shows nothing of what comes after it before", async () => {
    const { stage, screens } = stageOf(["continue"]);
    await showOnTerminal(replay([prose("first"), pause, prose("second")]), stage, uncoloured());
    expect(screens()).toHaveLength(2);
    expect(screens()[0]).toContain("first");
    expect(screens()[0]).toMatch(/Enter: continue · q: end/u);
    expect(screens()[0]).not.toContain("second");
    expect(screens()[1]).toContain("second");
  });

  it("ends where the reader wants it to, and lets the lesson free what it holds", async () => {
    let freed = false;
    async function* lesson(): Lesson {
      try {
        yield prose("first");
        yield pause;
        yield prose("second");
      } finally {
        freed = true;
      }
    }
    const { stage, text } = stageOf(["end"]);
    await showOnTerminal(lesson(), stage, uncoloured());
    expect(text()).not.toContain("second");
    expect(freed).toBe(true);
  });

  it.each([8, 12, 24])("asks for a key before anything is lost at the top of %i rows", async (rows) => {
    const pieces = Array.from({ length: 40 }, (_, i) => prose(`piece ${i}`));
    const { stage, screens } = stageOf(new Array<Wish>(40).fill("continue"), rows);
    await showOnTerminal(replay(pieces), stage, uncoloured());
    expect(screens().length).toBeGreaterThan(1);
    for (const screen of screens()) expect(shownRows(screen.replace(/^\r\u001b\[K\n/u, ""))).toBeLessThan(rows);
    for (let i = 0; i < 40; i++) expect(screens().join("")).toContain(`piece ${i}`);
  });

  it("puts a blank line between two pieces on every screen, and none above the first", async () => {
    const pieces = Array.from({ length: 12 }, (_, i) => prose(`piece ${i}`));
    const { stage, screens } = stageOf(new Array<Wish>(12).fill("continue"), 9);
    await showOnTerminal(replay(pieces), stage, uncoloured());
    const numbers = screens().map((screen) =>
      screen
        .replace(/^\r\u001b\[K\n/u, "")
        .replaceAll(/\r|\u001b\[[KJ]| Enter.*/gu, "")
        .split("\n")
        .map((line) => line.replace("piece ", "")),
    );
    expect(numbers.slice(0, 2)).toEqual([
      ["0", "", "1", "", "2", "", "3", ""],
      ["4", "", "5", "", "6", "", "7", ""],
    ]);
  });

  it("keeps a heading with what it is the heading of", async () => {
    const pieces: Piece[] = Array.from({ length: 10 }, (_, i) => prose(`piece ${i}`));
    const { stage, screens } = stageOf(["continue"], 24);
    await showOnTerminal(
      replay([...pieces, { kind: "heading", text: "A heading" }, prose("below")]),
      stage,
      uncoloured(),
    );
    expect(screens()[1]).toMatch(/^\r[^\n]*\n\r[^\n]*A heading[^\n]*\n[^\n]*below/u);
  });

  it("redraws a chart in place, not more often than can be seen, and its last state always", async () => {
    const { stage, text } = stageOf([]);
    const growing = Array.from({ length: 20 }, (_, step) => chart("c", step));
    await showOnTerminal(
      replay([prose("above"), ...growing, chart("c", 20, true), prose("below")]),
      stage,
      uncoloured(),
    );
    const drawn = text().match(/20 steps/gu)?.length ?? 0;
    expect(drawn).toBeGreaterThan(3);
    expect(drawn).toBeLessThan(20);
    const lastChart = text().lastIndexOf("loss 2.10");
    expect(lastChart).toBeGreaterThan(text().lastIndexOf("loss 2.15"));
    expect(text().indexOf("below")).toBeGreaterThan(lastChart);
    // Except for the first drawing, each drawing moves the cursor up over the previous drawing.
    expect(text().match(/\u001b\[\d+A/gu)).toHaveLength(drawn - 1);
  });

  it("begins another chart below the first", async () => {
    const { stage, text } = stageOf([], 60);
    await showOnTerminal(replay([chart("a", 3, true), chart("b", 3, true)]), stage, uncoloured());
    expect(text()).not.toMatch(/\u001b\[\d+A/u);
  });
});

describe("in a pipe", () => {
  it("goes on by itself, with the last state of a chart alone and no escape codes", async () => {
    const text = await plainText(replay([prose("a"), chart("c", 1), chart("c", 20, true), pause, prose("b")]), 80);
    expect(text.match(/steps/gu)).toHaveLength(1);
    expect(text).toContain("loss 2.10");
    expect(text).not.toContain("\u001b");
    expect(text.endsWith("\nb\n")).toBe(true);
  });
});

describe("the keyboard", () => {
  class Keyboard extends EventEmitter {
    raw = false;
    setRawMode(raw: boolean): this {
      this.raw = raw;
      return this;
    }
    resume(): this {
      return this;
    }
    pause(): this {
      return this;
    }
  }

  let keys: Keys | undefined;
  afterEach(() => keys?.close());

  const open = () => {
    const keyboard = new Keyboard();
    const told: string[] = [];
    const handlers: KeyHandlers = {
      onInterrupt: () => told.push("interrupt"),
      onSuspend: () => told.push("suspend"),
      onEnd: () => told.push("end"),
    };
    keys = readKeys(keyboard as unknown as Parameters<typeof readKeys>[0], handlers);
    const press = (text: string): boolean => keyboard.emit("data", Buffer.from(text));
    return { keyboard, told, press, keys };
  };

  it.each(["\r", "\n", " "])("goes on at %j", async (key) => {
    const { keys, press, told } = open();
    const wish = keys.next();
    press(key);
    expect(await wish).toBe("continue");
    expect(told).toEqual([]);
  });

  it.each(["q", "Q", "\u001b", "\u0004"])("ends at %j, whether waiting or not", async (key) => {
    const { keys, press, told } = open();
    press(key);
    expect(told).toEqual(["end"]);
    expect(await keys.next()).toBe("end");
  });

  it("forgets a key that goes on but was pressed when nobody waited, and keys without meaning", async () => {
    const { keys, press } = open();
    press(" ");
    const wish = keys.next();
    press("x");
    press("\u001b[A");
    press("q");
    expect(await wish).toBe("end");
  });

  it("tells of Ctrl-C and Ctrl-Z, which are no signals here", async () => {
    const { keys, press, told } = open();
    const wish = keys.next();
    press("\u001a");
    press("\u0003");
    expect(await wish).toBe("end");
    expect(told).toEqual(["suspend", "interrupt"]);
  });

  it("gives the keyboard back as it was", async () => {
    const { keyboard, keys } = open();
    expect(keyboard.raw).toBe(true);
    const wish = keys.next();
    keys.close();
    expect(keyboard.raw).toBe(false);
    expect(keyboard.listenerCount("data")).toBe(0);
    expect(await wish).toBe("end");
  });
});
