import { open, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { filterJsonLines, readJsonLines } from "#foretoken/io/jsonl.node.js";
import { useFolder } from "../support/runs.ts";

const { newPath } = useFolder();

/** Maximum length of a string in the engine, in bytes of a text of single-byte characters. */
const longestString = 2 ** 29 - 24;

it("a file of events that is longer than any string is read and rewritten, in bounded memory", async () => {
  const path = `${newPath()}.jsonl`;
  const line = (step: number): string => `${JSON.stringify({ v: 1, type: "step", step, note: "x".repeat(4070) })}\n`;
  const perPiece = 100;
  const file = await open(path, "w");
  let steps = 0;
  for (let bytes = 0; bytes <= longestString + 2 ** 20; ) {
    const piece = Array.from({ length: perPiece }, () => line(++steps)).join("");
    await file.write(piece);
    bytes += piece.length;
  }
  await file.write('{"v":1,"type":"st');
  await file.close();
  const before = process.memoryUsage();
  await filterJsonLines(path, (event) => (event as { step: number }).step <= steps - 3);
  let seen = 0;
  for await (const event of readJsonLines(path)) if ((event as { step: number }).step === seen + 1) seen++;
  expect(seen).toBe(steps - 3);
  const after = process.memoryUsage();
  expect(after.rss - before.rss).toBeLessThan(300 * 2 ** 20);
  expect((await stat(path)).size).toBeGreaterThan(longestString);
  await rm(join(path));
}, 300_000);
