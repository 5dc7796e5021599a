import { expect, it } from "vitest";
import type { Backend } from "#foretoken/backend/backend.js";
import type { RunConfig } from "#foretoken/train/config.js";
import { estimateMemory } from "#foretoken/train/memory.js";
import type { PartialConfig } from "#foretoken/train/merge.js";
import { resolveConfig } from "#foretoken/train/prepare.js";
import type { PresetName } from "#foretoken/train/presets.js";
import { train } from "#foretoken/train/train.node.js";
import { forEachBackend } from "../support/backends.ts";
import { collect, ofType, smallMuonRun, smallRun, useFolder, wordsText } from "../support/runs.ts";

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

interface Case {
  readonly name: string;
  readonly preset: PresetName;
  readonly plan: PartialConfig<RunConfig>;
  /** Whether there is more that lasts than weights, gradients and moments: tables of positions, the optimizer's scratch. */
  readonly more: boolean;
}

const cases: readonly Case[] = [
  { name: "the small run", preset: "book", plan: smallRun, more: false },
  {
    name: "a large batch",
    preset: "book",
    plan: { ...smallRun, train: { ...smallRun.train, batchSize: 40, gradAccumSteps: 1 } },
    more: false,
  },
  {
    name: "a deep model on short windows",
    preset: "book",
    plan: { ...smallRun, model: { ...smallRun.model, nLayer: 5, contextLength: 8, dropout: 0 } },
    more: false,
  },
  { name: "rotary positions and Muon", preset: "shakespeare", plan: smallMuonRun, more: true },
];

forEachBackend("the memory of a run", ({ open }) => {
  it.each(cases)("is told beforehand, to the byte: $name", async ({ preset, plan, more }) => {
    const opened = await open(2);
    const { backend, peak } = watched(opened);
    const config = { ...plan, train: { ...plan.train, steps: 3, evalInterval: 2 } };
    const data = await writeText(wordsText("memory", 300));
    const options = { preset, config, data, backend, finalSampleTokens: 20 };
    const [start] = ofType(await collect(train({ ...options, out: newPath() })), "start");
    await opened.close();
    if (start === undefined) throw new Error("every run has a start");
    const { total, saving, weights, gradients, moments, temporaries } = start.memory;
    expect(peak()).toBe(total - saving);
    expect(weights).toBeGreaterThanOrEqual(4 * start.parameters);
    expect([gradients, saving]).toEqual([weights, 3 * weights]);
    // Besides the moments there is one number, which tells that one of them is not finite.
    expect(moments > 2 * weights + 4).toBe(more);
    expect(moments).toBeGreaterThanOrEqual(2 * weights);
    expect(weights + gradients + moments + temporaries + saving).toBe(total);
  });
});

it("grows with the batch up to a pass of 4,096 tokens, and has nothing to save where nothing is saved", async () => {
  const estimate = (batchSize: number, saved: boolean) =>
    estimateMemory(resolveConfig("book", [smallRun, { train: { batchSize } }]), 17, 2, saved);
  const one = await estimate(1, true);
  const [pass, four] = [await estimate(256, false), await estimate(1024, false)];
  expect(pass.temporaries).toBeGreaterThan(200 * one.temporaries);
  expect(four.temporaries).toBe(pass.temporaries);
  expect(one.saving).toBe(3 * one.weights);
  expect(four).toMatchObject({ saving: 0, weights: one.weights });
});

it("has no room for all logits of a large vocabulary", async () => {
  const vocabSize = 50_000;
  const config = resolveConfig("book", [smallRun, { model: { contextLength: 64 }, train: { batchSize: 64 } }]);
  for (const [activations, tiles] of [
    ["float32", false],
    ["bfloat16", false],
    ["bfloat16", true],
  ] as const) {
    const { temporaries } = await estimateMemory(config, vocabSize, 10_000, true, { activations, tiles });
    expect(temporaries).toBeLessThan((4 * 64 * 64 * vocabSize) / 10);
  }
});

it("takes no time for a model that no machine could hold", async () => {
  const model = { nEmbd: 8192, nLayer: 100, nHead: 64, contextLength: 1024 };
  const config = resolveConfig("book", [{ model, train: { batchSize: 1 } }]);
  const { weights, total } = await estimateMemory(config, 50_000, 10_000, true);
  expect(weights).toBeGreaterThan(2 ** 38);
  expect(total).toBeGreaterThan(7 * weights);
});
