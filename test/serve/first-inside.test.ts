import { cp, mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type StudioOptions, startStudio } from "#foretoken/serve/studio/start.js";
import { train } from "#foretoken/train/train.node.js";
import { catText, smallRun } from "./studio.ts";

let folder: string;
const at = (...names: readonly string[]): string => join(folder, ...names);

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "foretoken-inside-"));
  const { config } = smallRun("", 4);
  const options = { backend: "wasm", threads: 1 } as const;
  const events = train({ text: catText, out: at("runs", "own"), config: config as object, ...options });
  for await (const event of events) expect(event.v).toBe(1);
  await mkdir(at("apart"));
  await cp(at("runs", "own"), at("apart", "far run"), { recursive: true });
});

afterAll(() => rm(folder, { recursive: true }));

/** Path and query of the printed address. */
const opened = async (models: readonly string[], more: Partial<StudioOptions> = {}) => {
  const options = { folder: at("runs"), port: 0, backend: "wasm", threads: 1, models, ...more } as const;
  const studio = await startStudio(options);
  await studio.close();
  return studio;
};
const addressOf = async (...models: readonly string[]): Promise<URL> =>
  new URL((await opened(models)).inside?.url ?? "");

test("without a model the studio has no address inside one", async () => {
  expect((await opened([])).inside).toBeUndefined();
});

test("a model of the hub is in the address as it was named, in the lens, without a text", async () => {
  const { search, pathname } = await addressOf("hf:some/model", at("runs", "own"));
  expect(pathname).toBe("/inside");
  expect(search).toBe("?model=models/hf:some/model&view=lens");
});

test("a path may have any characters", async () => {
  const { searchParams } = await addressOf(at("a&b #c.gguf"));
  expect(Object.fromEntries(searchParams)).toEqual({ model: `models/${at("a&b #c.gguf")}`, view: "lens" });
});

test("a run of the folder opens by its own name, so that its checkpoints are there", async () => {
  const { searchParams } = await addressOf(at("runs", "own"));
  expect(Object.fromEntries(searchParams)).toEqual({ model: "runs/own/best", view: "lens" });
});

test.each([["far run"], ["far run/best"]])("%s, which is elsewhere, opens on what the run wrote last", async (name) => {
  const { searchParams } = await addressOf(at("apart", name));
  expect(searchParams.get("model")).toBe(`models/${at("apart", name)}`);
  expect(searchParams.get("text")?.length).toBeGreaterThan(3);
});

test("an address for other machines leads there too, with the token at its end", async () => {
  const { inside } = await opened(["hf:some/model"], { host: "0.0.0.0", token: "secret" });
  expect(inside?.url).toMatch(/^http:\/\/localhost:\d+\/inside\?model=models\/hf:some\/model&view=lens#token=secret$/u);
  for (const one of inside?.elsewhere ?? [])
    expect(one).toContain("/inside?model=models/hf:some/model&view=lens#token=");
});
