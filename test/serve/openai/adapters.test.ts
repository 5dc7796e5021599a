/** Models with LoRA adapters on a server. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { type ServedParts, servedSources } from "#foretoken/cli/model/served-sources.js";
import { generate } from "#foretoken/generate/generate.js";
import { loadPretrained } from "#foretoken/pretrained/load.node.js";
import { openServedModels, type ServedModels } from "#foretoken/serve/openai/served-models.js";
import { writeTexts } from "#foretoken/serve/openai/texts.js";
import { copyAdapter, modelWithText } from "../../support/peft.ts";

let folder: string;
let base: string;
let adapter: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "foretoken-served-"));
  base = await modelWithText("llama3", join(folder, "base"));
  adapter = await copyAdapter("llama", join(folder, "notes"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

const running = { backend: "reference", dtype: "float32" } as const;
const prompt = [1, 2, 3];
const options = { maxNewTokens: 12, temperature: 0 } as const;

const written = async (place: string, given: object): Promise<string> => {
  const lm = await loadPretrained(place, { ...running, baseCheck: false, ...given });
  let text = "";
  for await (const event of generate(lm, { ...options, prompt })) if (event.type === "token") text += event.text;
  await lm.close();
  return text;
};

const serving = async (place: string, parts: ServedParts, use: (models: ServedModels) => Promise<void>) => {
  const sources = servedSources([place], { baseCheck: false, ...parts }, running, () => {});
  const models = await openServedModels(sources, { parallel: 4, queue: 4, cacheBytes: 2 ** 24 }, () => {});
  await use(models).finally(() => models.close());
};

const answer = async (models: ServedModels, name: string | undefined): Promise<string> => {
  const { engine, adapter: inUse, release } = models.take(name, 1);
  const { signal } = new AbortController();
  let text = "";
  const request = { prompt, options: { ...options, adapter: inUse } };
  for await (const { added } of writeTexts(engine, [request], 4, signal)) text += added;
  release();
  return text;
};

it("a run that trained an adapter is one model, which has its adapter", async () => {
  const tuned = await written(adapter, { base });
  expect(tuned).not.toBe(await written(base, {}));
  await serving(adapter, { adapters: {}, base }, async (models) => {
    expect(models.list().map(({ name, parent }) => [name, parent])).toEqual([["notes", null]]);
    for (const name of [undefined, "notes", adapter]) expect(await answer(models, name)).toBe(tuned);
    expect(() => models.take("default", 1)).toThrow("model: must be one of notes");
  });
});

it("an id names its model, whatever path another model has", async () => {
  await serving(base, { adapters: { [base]: adapter }, name: "plain" }, async (models) => {
    expect(models.list().map(({ name }) => name)).toEqual(["plain", base]);
    expect(await answer(models, base)).toBe(await written(base, { adapter }));
    expect(await answer(models, "plain")).toBe(await written(base, {}));
  });
});

it("a model with named adapters is a model of its own, and a model for each adapter", async () => {
  const tuned = await written(base, { adapter });
  const plain = await written(base, {});
  await serving(base, { adapters: { poems: adapter } }, async (models) => {
    expect(models.list().map(({ name, parent }) => [name, parent])).toEqual([
      ["base", null],
      ["poems", "base"],
    ]);
    expect(models.lookUp("poems")).toMatchObject({ name: "poems", parent: "base" });
    for (const name of [undefined, "base"]) expect(await answer(models, name)).toBe(plain);
    expect(await answer(models, "poems")).toBe(tuned);
  });
});
