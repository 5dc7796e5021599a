import { existsSync } from "node:fs";
import { mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { makeFolders } from "#foretoken/io/files.node.js";

let folder = "";
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "foretoken-files-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

test("a folder is made with all that is missing above it, and once more does no harm", async () => {
  const path = join(folder, "a", "b", "c");
  await makeFolders(path);
  await makeFolders(path);
  expect((await stat(path)).isDirectory()).toBe(true);
});

test("a file in the way is an error", async () => {
  const file = join(folder, "file");
  await writeFile(file, "");
  await expect(makeFolders(file)).rejects.toThrow(/EEXIST/);
  await expect(makeFolders(join(file, "below"))).rejects.toThrow(/ENOTDIR/);
});

test.skipIf(!existsSync("/proc/self"))(
  "where the system makes no folders it is an error, not a wait without end",
  async () => {
    await expect(makeFolders("/proc/foretoken/run")).rejects.toThrow(/ENOENT|EPERM|EACCES/);
  },
);
