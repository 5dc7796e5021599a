import { expect, it } from "vitest";
import type { Backend } from "#foretoken/backend/backend.js";
import { estimateMemory } from "#foretoken/train/memory.js";
import { resolveConfig } from "#foretoken/train/prepare.js";
import { train } from "#foretoken/train/train.node.js";
import { forEachBackend } from "../support/backends.ts";
import { collect, ofType, smallRun, useFolder, wordsText } from "../support/runs.ts";

const { newPath, writeText } = useFolder();

/** `backend`, with the most that was ever in use. */
const watched = (backend: Backend): { readonly backend: Backend; readonly peak: () => number } => {
  let peak = 0;
  return {
    backend: {
      ...backend,
      alloc(dtype, length) {
        const storage = backend.alloc(dtype, length);
        peak = Math.max(peak, backend.bytesInUse());
        return storage;
      },
    },
    peak: () => peak,
  };
};

const changes = {
  "the small run": {},
  "a large batch": { train: { batchSize: 40, gradAccumSteps: 1 } },
  "a deep model on short windows": { model: { nLayer: 5, contextLength: 8, dropout: 0 } },
};

forEachBackend("the memory of a run", ({ open }) => {
  it.each(Object.entries(changes))("is told beforehand, to the byte: %s", async (_, change) => {
    const opened = await open(2);
    const { backend, peak } = watched(opened);
    const model = { ...smallRun.model, ...("model" in change ? change.model : {}) };
    const settings = { ...smallRun.train, steps: 3, evalInterval: 2, ...("train" in change ? change.train : {}) };
    const config = { model, train: settings };
    const data = await writeText(wordsText("memory", 300));
    const options = { preset: "book", config, data, backend, finalSampleTokens: 20 } as const;
    const [start] = ofType(await collect(train({ ...options, out: newPath() })), "start");
    await opened.close();
    const { total, saving, weights, gradients, moments, temporaries } = start?.memory ?? { total: 0, saving: 0 };
    expect(peak()).toBe(total - saving);
    expect(weights).toBeGreaterThanOrEqual(4 * (start?.parameters ?? 0));
    expect([gradients, moments, saving]).toEqual([weights, 2 * (weights ?? 0), 3 * (weights ?? 0)]);
    expect(temporaries).toBe(total - saving - 4 * (weights ?? 0));
  });
});

it("grows with the batch, and has nothing to save where nothing is saved", async () => {
  const config = resolveConfig("book", [smallRun]);
  const double = resolveConfig("book", [smallRun, { train: { batchSize: 1000 } }]);
  const [one, two] = await Promise.all([estimateMemory(config, 17, 2, true), estimateMemory(double, 17, 2, false)]);
  expect(two.temporaries).toBeGreaterThan(100 * one.temporaries);
  expect(one.saving).toBe(3 * one.weights);
  expect(two).toMatchObject({ saving: 0, weights: one.weights });
});

it("takes no time for a model that no machine could hold", async () => {
  const model = { nEmbd: 8192, nLayer: 100, nHead: 64, contextLength: 1024 };
  const config = resolveConfig("book", [{ model, train: { batchSize: 1 } }]);
  const { weights, total } = await estimateMemory(config, 50_000, 10_000, true);
  expect(weights).toBeGreaterThan(2 ** 38);
  expect(total).toBeGreaterThan(7 * weights);
});
