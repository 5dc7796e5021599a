import { afterAll, beforeAll, expect, it } from "vitest";
import type { Backend } from "#foretoken/backend/backend.js";
import { openBackend } from "#foretoken/backend/select.node.js";
import { attentionOf } from "#foretoken/inside/attention.js";
import { withoutHeads } from "#foretoken/inside/heads.js";
import { lensOf } from "#foretoken/inside/lens.js";
import { neighboursOf } from "#foretoken/inside/neighbours.js";
import { patched } from "#foretoken/inside/patch.js";
import type { LanguageModel } from "#foretoken/pretrained/model/language-model.js";
import { savePretrained } from "#foretoken/pretrained/save.browser.js";
import { loadInWorker, type WorkerModel } from "#foretoken/worker/model.node.js";
import { ids, learned, text, withModel } from "../inside/models.ts";

let backend: Backend;
let lm: LanguageModel;
let inThread: WorkerModel;
beforeAll(async () => {
  backend = await openBackend("reference");
  lm = withModel(backend, learned);
  inThread = await loadInWorker(await savePretrained(lm), { backend: "reference" });
}, 60_000);
afterAll(async () => {
  await inThread.close();
  await lm.close();
  await backend.close();
});

const patch = { clean: ids, corrupted: "mlkjihgfedcbaa", layer: 0, position: 4, part: "mlp" } as const;

it("a model in its own thread shows what one in this thread does", async () => {
  expect(await inThread.attentionOf(text, { layers: [1] })).toEqual(await attentionOf(lm, text, { layers: [1] }));
  expect(await inThread.lensOf(ids, { top: 2 })).toEqual(await lensOf(lm, ids, { top: 2 }));
  expect(await inThread.neighboursOf("c")).toEqual(await neighboursOf(lm, "c"));
  expect(await inThread.patched(patch)).toEqual(await patched(lm, patch));
});

it("its heads are switched off, and on again", async () => {
  const heads = [{ layer: 1, head: 2 }];
  const whole = await inThread.score(text);
  await inThread.switchOff(heads);
  const without = withoutHeads(lm, heads);
  expect(await inThread.score(text)).toEqual(await without.score(text));
  expect(await inThread.lensOf(text)).toEqual(await lensOf(without, text));
  await expect(inThread.switchOff([{ layer: 9, head: 0 }])).rejects.toThrow("heads.0.layer: must be at most 1; got 9");
  expect((await inThread.score(text)).total).not.toBe(whole.total);
  await inThread.switchOff([]);
  expect(await inThread.score(text)).toEqual(whole);
});

it("it refuses what cannot be, as here", async () => {
  await expect(inThread.lensOf(text, { top: 0 })).rejects.toThrow("lensOf.top: must be at least 1; got 0");
  await expect(inThread.lensOf(text, { top: (() => 1) as never })).rejects.toThrow("lensOf: must hold only numbers");
  await expect(inThread.patched({ ...patch, clean: 7 as never })).rejects.toThrow("patched: clean: must be a list");
  await expect(inThread.lensOf(text, { signal: AbortSignal.abort("enough") })).rejects.toBe("enough");
});
