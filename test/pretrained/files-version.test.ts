import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { filesVersion } from "#foretoken/pretrained/files/files-version.node.js";

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "foretoken-version-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

it("changes with each file of a model, also with one of several files of weights", async () => {
  const model = join(folder, "model");
  expect(await filesVersion(model)).toBeUndefined();
  await mkdir(model);
  expect(await filesVersion(model)).toBeUndefined();
  const names = [
    ...["config.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors"],
    ...["model.safetensors.index.json", "tokenizer.json"],
  ];
  const seen = new Set<string | undefined>();
  for (const [i, text] of ["a", "longer"].entries()) {
    for (const name of names) {
      await writeFile(join(model, name), text);
      seen.add(await filesVersion(model));
      expect(seen.size).toBe(i * names.length + names.indexOf(name) + 1);
    }
  }
  const version = await filesVersion(model);
  await writeFile(join(model, "notes.txt"), "of the user");
  expect(await filesVersion(model)).toBe(version);
});

it("changes with a file that is the model", async () => {
  const file = join(folder, "model.gguf");
  await writeFile(file, "a");
  const version = await filesVersion(file);
  expect(version).toBeDefined();
  await writeFile(file, "longer");
  expect(await filesVersion(file)).not.toBe(version);
});
