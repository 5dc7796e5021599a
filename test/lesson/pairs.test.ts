import { describe, expect, it } from "vitest";
import { openBackend } from "#foretoken/backend/select.node.js";
import { pairsLesson } from "#foretoken/lesson/pairs.js";
import { forEachBackend } from "../support/backends.ts";
import { ofKind, piecesOf, plain, tinyInput } from "./small-lessons.ts";

forEachBackend("the lesson of pairs", ({ name }) => {
  it("finds the same losses in one pass as in many, to the bit, and leaves nothing in memory", async () => {
    const backend = await openBackend(name, { threads: 2 });
    try {
      let time = 0;
      const pieces = await piecesOf(
        pairsLesson(
          tinyInput(backend, {
            clock: () => {
              time += 50;
              return time;
            },
          }),
        ),
      );
      expect(backend.bytesInUse()).toBe(0);
      const said = ofKind(pieces, "prose").map(({ text }) => plain(text));
      // On this clock, ten passes take the same time as all other passes together.
      expect(said.at(-1)).toMatch(/the same \d+ losses \(to the last bit\) and is 10 times as fast/u);
      const [, one, many] =
        /The mean loss is ([\d.]+) nats in one pass and ([\d.]+) nats in \d+ passes/u.exec(said.at(-1) ?? "") ?? [];
      expect(one).toBeDefined();
      expect(many).toBe(one);
      expect(ofKind(pieces, "bars")[0]?.bars.map(({ value }) => value)).toEqual([5, 50]);
    } finally {
      await backend.close();
    }
  });
});

describe("the tables", () => {
  const tables = async (line: string) => {
    const backend = await openBackend("reference");
    try {
      return ofKind(await piecesOf(pairsLesson(tinyInput(backend, { line, isReadersLine: true }))), "table").map(
        ({ rows }) => rows.map((row) => row.map(plain)),
      );
    } finally {
      await backend.close();
    }
  };

  it("have every pair of HELLO, and the first and last of a line", async () => {
    const [hello, line] = await tables("the cat sat");
    expect(hello).toEqual([
      ["H", "→", "E"],
      ["HE", "→", "L"],
      ["HEL", "→", "L"],
      ["HELL", "→", "O"],
    ]);
    expect(line).toEqual([
      ["t", "→", "h"],
      ["th", "→", "e"],
      ["the", "→", "␣"],
      ["…", "", ""],
      ["the cat sa", "→", "t"],
    ]);
  });

  it("leave nothing out of a line that is short", async () => {
    expect((await tables("cat"))[1]).toEqual([
      ["c", "→", "a"],
      ["ca", "→", "t"],
    ]);
  });

  it("shift y by one against x", async () => {
    const backend = await openBackend("reference");
    try {
      const [, line] = ofKind(await piecesOf(pairsLesson(tinyInput(backend, { line: "the cat" }))), "aligned");
      const [x, y, idsOfX, idsOfY] = line?.rows.map(({ cells }) => cells.map(plain)) ?? [];
      expect(x).toEqual([..."the␣ca"]);
      expect(y).toEqual([..."he␣cat"]);
      expect(idsOfX?.slice(1)).toEqual(idsOfY?.slice(0, -1));
    } finally {
      await backend.close();
    }
  });
});
