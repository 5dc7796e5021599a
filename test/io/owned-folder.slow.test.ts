/** Files that are larger than one read call of the system, or larger than one buffer for hashing. */
import { truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { makeFolders } from "#foretoken/io/files.node.js";
import { manifestJson } from "#foretoken/io/manifest.js";
import { foreignEntries } from "#foretoken/io/owned-folder.node.js";
import { useFolder } from "../support/runs.ts";

const { newPath } = useFolder();

it("tells a file of ours by its SHA-256, whatever its size", async () => {
  const folder = newPath();
  await makeFolders(folder);
  const file = join(folder, "model-00001-of-00002.safetensors");
  await writeFile(file, "");
  await truncate(file, 2 ** 31 + 1);
  // SHA-256 of the given number of zero bytes.
  const sha256 = "b8030a8ab89280935633d8d991da3d9907c0f12e8b6fc3bfc515f4d440872b6e";
  const files = { "model-00001-of-00002.safetensors": { bytes: 2 ** 31 + 1, sha256 } };
  await writeFile(join(folder, "manifest.json"), manifestJson({ files, run: null }));
  expect(await foreignEntries(folder)).toEqual([]);
  await truncate(file, 2 ** 31);
  expect(await foreignEntries(folder)).toEqual(["model-00001-of-00002.safetensors"]);
});
