import { afterAll, beforeAll, expect, it } from "vitest";
import type { Backend } from "#foretoken/backend/backend.js";
import { openBackend } from "#foretoken/backend/select.node.js";
import { loadCorpus } from "#foretoken/data/corpora.node.js";
import { type LessonInput, lessonInput } from "#foretoken/lesson/input.js";
import { type LessonName, lessons } from "#foretoken/lesson/lessons.js";
import type { Piece } from "#foretoken/lesson/piece.js";
import { plainText, replay, screensOf } from "./screens.ts";

/** Number of terminal rows for a screen of a lesson. The row that asks whether to continue is not included. */
const rows = 30 - 1;

export interface LearnedLesson {
  readonly input: LessonInput;
  readonly pieces: readonly Piece[];
}

/**
 * Tests that a part of the lesson equals its reviewed snapshot, on Moby-Dick. The backend gives the same bits on every
 * machine.
 * @returns the lesson, for further tests.
 */
export const testSnapshots = (name: LessonName, times: readonly number[] = []): (() => LearnedLesson) => {
  let backend: Backend;
  let input: LessonInput | undefined;
  const pieces: Piece[] = [];

  beforeAll(async () => {
    backend = await openBackend("wasm", { threads: 2 });
    const corpus = await loadCorpus("moby-dick");
    let reading = 0;
    const clock = (): number => times[reading++] ?? 0;
    input = lessonInput({ backend, corpus, clock, signal: new AbortController().signal });
    for await (const piece of lessons[name].start(input)) pieces.push(piece);
    expect(reading).toBe(times.length);
    // The time limit is far longer than a training takes, because a machine may be slow or busy.
  }, 600_000);
  afterAll(() => backend.close());

  it.each([80, 120])(`${name} looks as reviewed in %i columns, on two screens at most`, async (width) => {
    const screens = await Promise.all(screensOf(pieces).map((screen) => plainText(replay(screen), width)));
    const mark = `${"~".repeat(width)}\n`;
    await expect(screens.join(mark)).toMatchFileSnapshot(`snapshots/${name}-${width}.txt`);
    expect(screens.length).toBeLessThanOrEqual(2);
    for (const screen of screens) expect(screen.trimEnd().split("\n").length).toBeLessThanOrEqual(rows);
    for (const line of screens.join("").split("\n")) expect([...line].length).toBeLessThanOrEqual(width);
  });

  return () => {
    if (input === undefined) throw new Error(`the lesson ${name} has not begun`);
    return { input, pieces };
  };
};
