import { mkdir, readdir, readFile, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { CheckpointError } from "#foretoken/core/errors/errors.js";
import { writeNewFile } from "#foretoken/io/new-file.node.js";
import { useFolder } from "../support/runs.ts";
import { useStoppedWriter } from "./stopped-writer.ts";

const { newPath } = useFolder();
const stopBefore = useStoppedWriter();

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const pieces = (...texts: readonly string[]): Iterable<Uint8Array> => texts.map(bytes);
const failure = async (work: Promise<unknown>): Promise<string> => {
  const error = await work.catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(CheckpointError);
  return (error as Error).message;
};

describe("writeNewFile", () => {
  it("writes a file in folders that it makes, and nothing else", async () => {
    const folder = newPath();
    await writeNewFile(join(folder, "a", "b.gguf"), pieces("one", "two"), false);
    expect(await readFile(join(folder, "a", "b.gguf"), "utf8")).toBe("onetwo");
    expect(await readdir(join(folder, "a"))).toEqual(["b.gguf"]);
  });

  it("replaces a file where it is asked to, and no folder or link to one", async () => {
    const folder = newPath();
    await mkdir(folder);
    const path = join(folder, "a.gguf");
    await writeFile(path, "old");
    expect(await failure(writeNewFile(path, "new", false))).toMatch(
      /a\.gguf: the name must be free; got a file with this name/u,
    );
    expect(await readFile(path, "utf8")).toBe("old");
    await writeNewFile(path, "new", true);
    expect(await readFile(path, "utf8")).toBe("new");
    await mkdir(join(folder, "b.gguf"));
    await symlink(path, join(folder, "c.gguf"));
    expect(await failure(writeNewFile(join(folder, "b.gguf"), "new", true))).toMatch(/got a folder with this name/u);
    expect(await failure(writeNewFile(join(folder, "c.gguf"), "new", true))).toMatch(
      /got something else with this name/u,
    );
    expect(await readdir(folder)).toEqual(["a.gguf", "b.gguf", "c.gguf"]);
  });

  it("does not replace a file that came while it wrote", async () => {
    const folder = newPath();
    const path = join(folder, "a.gguf");
    const late = async function* () {
      yield bytes("ours");
      await writeFile(path, "theirs");
    };
    expect(await failure(writeNewFile(path, late(), false))).toMatch(/got a file with this name/u);
    expect(await readFile(path, "utf8")).toBe("theirs");
    expect(await readdir(folder)).toEqual(["a.gguf"]);
  });

  it("leaves nothing where the contents fail", async () => {
    const folder = newPath();
    const failing = async function* () {
      yield bytes("half");
      throw new RangeError("no more");
    };
    await expect(writeNewFile(join(folder, "new", "a.gguf"), failing(), false)).rejects.toThrow(RangeError);
    await expect(stat(folder)).rejects.toThrow(/ENOENT/u);
  });

  it.each([false, true])(
    "has the whole file or the former one after a kill before any operation (replace %s)",
    async (replace) => {
      let [stopped, operation] = [true, 0];
      while (stopped) {
        operation++;
        const folder = newPath();
        const path = join(folder, "a.gguf");
        if (replace) {
          await mkdir(folder);
          await writeFile(path, "old");
        }
        stopped = await stopBefore(operation, () => writeNewFile(path, pieces("one", "two"), replace));
        const found = await readFile(path, "utf8").catch(() => undefined);
        expect([replace ? "old" : undefined, "onetwo"]).toContain(found);
        // The next writer removes the files of the killed writer.
        await writeNewFile(path, pieces("three"), found !== undefined);
        expect(await readdir(folder)).toEqual(["a.gguf"]);
      }
      expect(operation).toBeGreaterThan(6);
    },
  );
});
