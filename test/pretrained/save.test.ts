import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Backend } from "#foretoken/backend/backend.js";
import { openReference } from "#foretoken/backend/implementations/reference/reference.js";
import { CheckpointError } from "#foretoken/core/errors/errors.js";
import { freshModel } from "#foretoken/models/model.js";
import { loadPretrained } from "#foretoken/pretrained/load.node.js";
import { type LanguageModel, languageModel } from "#foretoken/pretrained/model/language-model.js";
import { savePretrained } from "#foretoken/pretrained/save.node.js";
import { charTokenizer, trainCharTokenizer } from "#foretoken/tokenizer/char.js";
import { bookModel, qwen3Model } from "../support/models.ts";
import { useFolder } from "../support/runs.ts";

const { newPath } = useFolder();
let backend: Backend;
beforeAll(async () => {
  backend = await openReference();
});
afterAll(() => backend.close());
const tokenizer = trainCharTokenizer("a cat sat");
const small = { contextLength: 8, nLayer: 1, nHead: 2, nEmbd: 8 };
const untrained = (seed: number, architecture = bookModel): LanguageModel =>
  languageModel(freshModel(backend, { ...architecture, ...small }, tokenizer.vocabSize, seed), tokenizer);

test.each([
  ["GPT-2's", bookModel],
  ["Qwen3's", qwen3Model],
])("what was saved loads with the same logits: %s shape", async (_, architecture) => {
  const lm = untrained(1, architecture);
  const directory = join(newPath(), "new", "folders");
  await savePretrained(directory, lm);
  const loaded = await loadPretrained(directory, { backend });
  const ids = tokenizer.encode("cat");
  expect(await loaded.logits(ids)).toEqual(await lm.logits(ids));
});

test("a special token that ends a text is named for other software, and comes back", async () => {
  const special = charTokenizer([..."act"], ["<|endoftext|>"]);
  const lm = languageModel(freshModel(backend, { ...bookModel, ...small }, special.vocabSize, 1), special);
  const directory = newPath();
  await savePretrained(directory, lm);
  const read = async (name: string): Promise<unknown> => JSON.parse(await readFile(join(directory, name), "utf8"));
  expect(await read("config.json")).toMatchObject({ vocab_size: 4, eos_token_id: 3 });
  expect(await read("generation_config.json")).toMatchObject({ eos_token_id: 3 });
  expect(await read("tokenizer_config.json")).toMatchObject({ eos_token: "<|endoftext|>" });
  const loaded = await loadPretrained(directory, { backend });
  expect(loaded.tokenizer).toMatchObject({ endOfText: 3, vocabSize: 4 });
});

test("a checkpoint may take the place of an earlier one", async () => {
  const directory = newPath();
  await savePretrained(directory, untrained(1));
  const second = untrained(2);
  await savePretrained(directory, second);
  const ids = tokenizer.encode("cat");
  expect(await (await loadPretrained(directory, { backend })).logits(ids)).toEqual(await second.logits(ids));
});

test.each([
  ["alone", false],
  ["beside a checkpoint", true],
])("a folder with another file in it is left as it is: %s", async (_, isCheckpoint) => {
  const directory = newPath();
  await mkdir(directory);
  if (isCheckpoint) await savePretrained(directory, untrained(1));
  await writeFile(join(directory, "letter.txt"), "Dear");
  const before = await readdir(directory);
  await expect(savePretrained(directory, untrained(2))).rejects.toThrow(CheckpointError);
  await expect(savePretrained(directory, untrained(2))).rejects.toThrow(/must be new, .*; got .*"letter\.txt"/u);
  expect(await readdir(directory)).toEqual(before);
  expect(await readFile(join(directory, "letter.txt"), "utf8")).toBe("Dear");
});
