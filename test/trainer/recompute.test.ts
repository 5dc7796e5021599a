import { describe, expect, it } from "vitest";
import type { Backend } from "#foretoken/backend/backend.js";
import type { RunConfig } from "#foretoken/config/config.js";
import { estimateMemory } from "#foretoken/train/prepare/memory.js";
import { resolveConfig } from "#foretoken/train/prepare/prepare.js";
import { train } from "#foretoken/train/train.node.js";
import { readPart } from "#foretoken/trainer/state.js";
import { createTrainer } from "#foretoken/trainer/trainer.js";
import { forEachBackend } from "../support/backends.ts";
import { hashedIds } from "../support/models.ts";
import {
  anyBackend,
  checkpointHashes,
  collect,
  smallGroupedRun,
  smallMuonRun,
  smallRun,
  useFolder,
  wordsText,
} from "../support/runs.ts";

const { newPath, writeText } = useFolder();
const vocabSize = 11;
const tokens = hashedIds("recompute", 500, vocabSize);

const configs: Readonly<Record<string, RunConfig>> = {
  "a GPT with dropout": resolveConfig("book", [smallRun]),
  "a GPT without dropout": resolveConfig("book", [smallRun, { model: { dropout: 0 } }]),
  "a Qwen3 with dropout": resolveConfig("shakespeare", [smallMuonRun]),
  "a Llama with grouped queries": resolveConfig("shakespeare", [smallGroupedRun]),
  "a model whose layers differ, with dropout": resolveConfig("shakespeare", [
    smallGroupedRun,
    {
      model: {
        ...{ nLayer: 3, dropout: 0.2, qkNorm: true, qkNormWidth: "all", normPlacement: "after", embeddingScale: 2 },
        window: { size: 5, fullEvery: 3, theta: 50 },
      },
    },
  ]),
};

const recomputing = (config: RunConfig): RunConfig => ({
  ...config,
  train: { ...config.train, recomputeActivations: true },
});

/** The bits of all results of three steps, and the numbers of kernel calls. */
const computed = async (backend: Backend, config: RunConfig) => {
  let calls = 0;
  const counted: Backend = {
    ...backend,
    run(kernel, args) {
      calls++;
      backend.run(kernel, args);
    },
  };
  const trainer = createTrainer(counted, config, vocabSize, tokens);
  const results: unknown[] = [];
  for (let step = 0; step < 3; step++) {
    const measured = await trainer.measure(step);
    const gradients = await backend.read(trainer.gradients.arena.storage);
    results.push(measured, new Uint32Array(gradients.slice().buffer));
    trainer.update(step, measured);
  }
  results.push(new Uint32Array((await readPart(trainer.snapshot().weights)).slice().buffer));
  trainer.close();
  return { results, calls };
};

forEachBackend("blocks that are computed again", ({ open }) => {
  for (const dtype of ["float32", "bfloat16"] as const) {
    it.each(Object.entries(configs))(`give the bits of %s in ${dtype}, and leave nothing behind`, async (_, config) => {
      const backend = await open(2, dtype);
      try {
        const kept = await computed(backend, config);
        const again = await computed(backend, recomputing(config));
        expect(again.results).toEqual(kept.results);
        expect(again.calls).toBeGreaterThan(kept.calls);
        expect(backend.bytesInUse()).toBe(0);
      } finally {
        await backend.close();
      }
    });
  }
});

describe("a run that computes its blocks again", () => {
  it("takes less memory, the more so the more blocks it has", async () => {
    const needs = {
      ...{ vocabSize, valTokens: 100, sampleTokens: 0, saved: false, resumed: false },
      ...{ text: 0, reading: 0, program: 0 },
    };
    const temporariesOf = async (config: RunConfig): Promise<number> =>
      (await estimateMemory(config, needs)).temporaries;
    const deep = (nLayer: number): RunConfig =>
      resolveConfig("shakespeare", [smallMuonRun, { model: { nLayer, contextLength: 64 }, train: { batchSize: 16 } }]);
    const four = await temporariesOf(deep(4));
    const eight = await temporariesOf(deep(8));
    const fourAgain = await temporariesOf(recomputing(deep(4)));
    const eightAgain = await temporariesOf(recomputing(deep(8)));
    expect(fourAgain).toBeLessThan(0.6 * four);
    expect(eightAgain - fourAgain).toBeLessThan(0.2 * (eight - four));
  });

  it("can be broken off and resumed, and ends with the weights of one that keeps them", async () => {
    const data = await writeText(wordsText("recompute", 300));
    const plain = newPath();
    const shared = { preset: "book", data, ...anyBackend } as const;
    await collect(train({ ...shared, out: plain, config: smallRun }));
    const out = newPath();
    const config = { ...smallRun, train: { ...smallRun.train, recomputeActivations: true } };
    const controller = new AbortController();
    for await (const event of train({ ...shared, out, config, signal: controller.signal })) {
      if (event.type === "step" && event.step === 6) controller.abort();
    }
    await collect(train({ resume: out, ...anyBackend }));
    const [wanted, got] = [await checkpointHashes(plain), await checkpointHashes(out)];
    for (const file of ["model.safetensors", "optimizer.safetensors"]) {
      expect(got[`checkpoint/${file}`]).toBe(wanted[`checkpoint/${file}`]);
    }
  });
});
