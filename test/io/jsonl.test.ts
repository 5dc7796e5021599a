import { appendFile, mkdtemp, open, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { filterJsonLines, openJsonLines, readJsonLines, readWholeLines } from "#foretoken/io/jsonl.node.js";

let folder = "";
let path = "";
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "foretoken-jsonl-"));
  path = join(folder, "metrics.jsonl");
});
afterEach(() => rm(folder, { recursive: true }));

const readAll = async (): Promise<unknown[]> => {
  const values: unknown[] = [];
  for await (const value of readJsonLines(path)) values.push(value);
  return values;
};

const upTo = (last: number) => (value: unknown) => (value as { step: number }).step <= last;

describe("JSON lines", () => {
  it("are appended in order, one a line, without waiting between", async () => {
    const lines = await openJsonLines(path);
    const values = Array.from({ length: 50 }, (_, step) => ({ step, note: "a\nb" }));
    await Promise.all(values.map((value) => lines.append(value)));
    await lines.flush();
    expect(await readAll()).toEqual(values);
    expect((await readFile(path, "utf8")).split("\n").length).toBe(51);
    await lines.close();
    const again = await openJsonLines(path);
    await again.append({ step: 50 });
    await again.close();
    expect(await readAll()).toHaveLength(51);
  });

  it("past a step are dropped, with a last line that was cut off", async () => {
    const lines = await openJsonLines(path);
    for (let step = 1; step <= 5; step++) await lines.append({ step, loss: step / 3 });
    await lines.close();
    const whole = await readFile(path, "utf8");
    await appendFile(path, '{"step":6,"lo');
    await filterJsonLines(path, upTo(5));
    expect(await readFile(path, "utf8")).toBe(whole);
    await filterJsonLines(path, upTo(3));
    expect(await readFile(path, "utf8")).toBe(whole.split("\n").slice(0, 3).join("\n").concat("\n"));
    expect(await readdir(folder)).toEqual(["metrics.jsonl"]);
  });

  it.each([
    ["one by one", readJsonLines],
    ["many at a time", readWholeLines],
  ] as const)("are read %s from a file that is closed before the reading ends", async (_, read) => {
    await appendFile(path, '{"step":1}\n{"step":2}\n');
    const other = await open(path);
    await other.close();
    const files = Object.getPrototypeOf(other) as typeof other;
    const { read: readPiece } = files;
    let closed = 0;
    const seen = new Set<typeof other>();
    const reading = vi.spyOn(files, "read").mockImplementation(function (this: typeof other, ...args: unknown[]) {
      if (!seen.has(this)) {
        const close = this.close;
        this.close = async () => {
          await close();
          await new Promise(setImmediate);
          closed++;
        };
      }
      seen.add(this);
      return Reflect.apply(readPiece, this, args);
    });
    try {
      for await (const _piece of read(path));
      expect(closed).toBe(1);
      // The program leaves the loop in the middle.
      for await (const _piece of read(path)) break;
      expect(closed).toBe(2);
    } finally {
      reading.mockRestore();
    }
  });

  it("of a missing file are none", async () => {
    expect(await readAll()).toEqual([]);
    await filterJsonLines(path, () => true);
    expect(await readFile(path, "utf8")).toBe("");
  });

  it("that cannot be written reject, and later ones are still tried", async () => {
    const lines = await openJsonLines(path);
    await expect(lines.append(1n)).rejects.toThrow(TypeError);
    await lines.append({ step: 1 });
    await lines.close();
    expect(await readAll()).toEqual([{ step: 1 }]);
  });
});
