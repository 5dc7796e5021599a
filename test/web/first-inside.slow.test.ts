import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { type Studio, startStudio } from "#foretoken/serve/studio/start.js";
import { train } from "#foretoken/worker/train.node.js";
import { missingChromium } from "../browser/chromium.ts";
import { catText, smallRun } from "../serve/studio.ts";
import { answer, type Served } from "../support/hub.ts";
import { usePages } from "./page.ts";

const backend = { backend: "wasm", threads: 1 } as const;
let studio: Studio | undefined;
const openPage =
  missingChromium === undefined ? usePages(() => studio?.url ?? "") : () => Promise.reject(new Error("no chromium"));

describe.skipIf(missingChromium !== undefined)("the address of a model that was named at start", () => {
  let folder: string;
  let hub: Server;
  /** A model on the hub that was trained on `text`. */
  const start = async (text: string): Promise<void> => {
    const out = join(folder, "trained");
    await rm(out, { recursive: true, force: true });
    const { config } = smallRun("", 4);
    const longer = {
      ...(config as { model: object }),
      model: { ...(config as { model: object }).model, contextLength: 64 },
    };
    for await (const event of train({ text, out, config: longer, ...backend })) expect(event.v).toBe(1);
    const best = join(out, "best");
    const files = new Map<string, Buffer>();
    for (const name of await readdir(best)) files.set(name, await readFile(join(best, name)));
    const served: Served = { files, asked: [] };
    hub = createServer((request, response) => answer(served, request, response));
    await new Promise<void>((done) => hub.listen(0, "127.0.0.1", done));
    vi.stubEnv("HF_ENDPOINT", `http://127.0.0.1:${(hub.address() as AddressInfo).port}`);
    vi.stubEnv("HF_TOKEN", "");
    vi.stubEnv("FORETOKEN_CACHE", await mkdtemp(join(folder, "cache-")));
    studio = await startStudio({ folder: join(folder, "no-runs"), port: 0, models: ["hf:some/model"], ...backend });
  };
  const stop = async (): Promise<void> => {
    await studio?.close();
    hub.closeAllConnections();
    await new Promise((done) => hub.close(done));
  };
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "foretoken-first-"));
  });
  afterAll(() => rm(folder, { recursive: true }));

  it.each([
    ["The capital of France is", catText + "The capital of France is Paris.\n".repeat(20)],
    ["The cat sat on the mat because it was tired.", catText + "It was because they were tired.\n".repeat(20)],
  ])("shows its lens on “%s”, which the model can read, and no runs", async (words, text) => {
    await start(text);
    const { pathname, search } = new URL(studio?.inside?.url ?? "");
    const page = await openPage(pathname + search);
    await page.locator(".lens-cell").nth(words.length).waitFor();
    await expect.poll(() => page.getByLabel("Text", { exact: true }).inputValue()).toBe(words);
    await expect.poll(() => page.getByLabel("Model").inputValue()).toBe("some/model");
    await page.getByRole("heading", { name: /^After .*, at layer 1 MLP$/u }).waitFor();
    await page.locator(".rise", { hasText: "Rank 1 here, with" }).waitFor();
    // While the model is read, the field already shows the first example.
    const fresh = await page.context().newPage();
    const held: (() => Promise<void>)[] = [];
    let isHeld = true;
    await fresh.route("**/inside/text", async (route) => {
      if (isHeld) held.push(() => route.continue());
      else await route.continue();
    });
    await fresh.goto(new URL(pathname + search, page.url()).href);
    await fresh.getByText("Reading the model", { exact: false }).waitFor();
    const field = fresh.getByLabel("Text", { exact: true });
    await expect.poll(() => field.inputValue()).toBe("The capital of France is");
    isHeld = false;
    for (const release of held) await release();
    await fresh.locator(".lens-cell").nth(words.length).waitFor();
    await expect.poll(() => field.inputValue()).toBe(words);
    await fresh.close();
    await page.getByRole("link", { name: "Runs" }).click();
    await page.getByRole("heading", { name: "No runs yet" }).waitFor();
    await stop();
  });
});
