import { readdir } from "node:fs/promises";
import { dirname } from "node:path";
import { describe, expect, it } from "vitest";
import { openCounting } from "#foretoken/backend/observers/counting.js";
import type { RunConfig } from "#foretoken/config/config.js";
import type { PartialConfig } from "#foretoken/config/merge.js";
import type { PresetName } from "#foretoken/config/presets.js";
import { ConfigError } from "#foretoken/core/errors/errors.js";
import { evaluate } from "#foretoken/evaluate/evaluate.js";
import { estimateMemory, type MemoryNeeds } from "#foretoken/train/prepare/memory.js";
import { checkMemory, checkTextSize, memoryWarning } from "#foretoken/train/prepare/preflight.js";
import { resolveConfig } from "#foretoken/train/prepare/prepare.js";
import { train } from "#foretoken/train/train.node.js";
import { arraysOfSum } from "#foretoken/trainer/gradient-sum.js";
import { passesPerStep } from "#foretoken/trainer/passes.js";
import { stateLayouts, stateLength } from "#foretoken/trainer/state.js";
import { createTrainer, undrawnTrainer } from "#foretoken/trainer/trainer.js";
import { compiled, forEachBackend } from "../../support/backends.ts";
import { collect, ofType, smallMuonRun, smallRun, useFolder, wordsText } from "../../support/runs.ts";

const { newPath, writeText } = useFolder();

const vocabSize = 17;
/** Memory that a run needs for its computation, without the text and the program. */
const needs: MemoryNeeds = {
  vocabSize,
  valTokens: 2,
  sampleTokens: 0,
  saved: false,
  resumed: false,
  text: 0,
  reading: 0,
  program: 0,
};

interface Case {
  readonly name: string;
  readonly preset: PresetName;
  readonly plan: PartialConfig<RunConfig>;
  /**
   * Whether arrays other than weights, gradients and moments stay allocated: the tables of positions and the
   * optimizer's scratch memory.
   */
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
  {
    name: "blocks that are computed again",
    preset: "book",
    plan: { ...smallRun, train: { ...smallRun.train, recomputeActivations: true } },
    more: false,
  },
];

forEachBackend(
  "the memory of a run",
  ({ open, name: backendName }) => {
    it.each(cases)("is counted beforehand, to the byte: $name", async ({ preset, plan }) => {
      const config = resolveConfig(preset, [plan]);
      const backend = await open(2);
      const { activations, tiles } = backend.capabilities;
      const counting = openCounting({ activations, tiles, name: backendName, threads: 2 });
      const tokens = Int32Array.from({ length: 900 }, (_, i) => (i * 7) % vocabSize);
      const trainers = [
        createTrainer(backend, config, vocabSize, tokens),
        undrawnTrainer(counting, config, vocabSize, tokens),
      ];
      const same = (): void =>
        expect([counting.bytesInUse(), counting.bytesHeld()]).toEqual([backend.bytesInUse(), backend.bytesHeld?.()]);
      same();
      for (const step of [0, 1, 2]) {
        for (const trainer of trainers) await trainer.step(step);
        same();
        for (const { model } of trainers) await evaluate(model, { ids: tokens, characters: 1, bytes: 1 });
        same();
      }
      expect(counting.peakTouched()).toBeGreaterThanOrEqual(counting.peakBytes());
      for (const trainer of trainers) trainer.close();
      expect(counting.bytesInUse()).toBe(0);
      await backend.close();
    });

    it.each(cases)("is told before any is taken: $name", async ({ preset, plan, more }) => {
      const backend = await open(2);
      const config = { ...plan, train: { ...plan.train, steps: 3, evalInterval: 2 } };
      const data = await writeText(wordsText("memory", 300));
      const options = { preset, config, data, backend, finalSampleTokens: 20 };
      const events = train({ ...options, out: newPath() });
      const { value: start } = await events.next();
      if (start?.type !== "start") throw new Error("every run begins with a start");
      expect(backend.bytesInUse()).toBe(0);
      const { total, saving, weights, gradients, moments, temporaries, text, program, loading } = start.memory;
      expect(weights).toBeGreaterThanOrEqual(4 * start.parameters);
      const passes = passesPerStep(start.config, "windows");
      expect([gradients, loading]).toEqual([arraysOfSum(passes) * weights, 0]);
      expect(saving).toBeLessThanOrEqual(3 * weights);
      expect(saving).toBeGreaterThan(0);
      const state = 4 * stateLength(stateLayouts(start.config, start.vocabSize)) - weights;
      // The state has the moments and one more number, a flag for moments that are not finite.
      expect(moments > state + 4).toBe(more);
      expect(moments).toBeGreaterThanOrEqual(state);
      expect(text).toBe(4 * (start.trainTokens + start.valTokens));
      expect(weights + gradients + moments + temporaries + saving + text + program).toBe(total);
      let held = 0;
      for await (const _ of events) held = Math.max(held, backend.bytesHeld?.() ?? 0);
      expect(held).toBeLessThanOrEqual(1.125 * (weights + gradients + moments + temporaries));
      await backend.close();
    });
  },
  compiled,
);

describe("the estimate", () => {
  it("grows with the batch up to a pass of 4,096 tokens, and takes no time for a larger one", async () => {
    const estimate = (batchSize: number, saved: boolean) =>
      estimateMemory(resolveConfig("book", [smallRun, { train: { batchSize } }]), { ...needs, saved });
    const one = await estimate(1, true);
    const [pass, four, huge] = [
      await estimate(256, false),
      await estimate(1024, false),
      await estimate(2 ** 19, false),
    ];
    expect(pass.temporaries).toBeGreaterThan(200 * (one.temporaries - 2 ** 19));
    // A binary tree adds the gradients of passes. Each time the number of passes doubles, the tree needs one more
    // array.
    expect([pass, four, huge].map(({ gradients }) => gradients / one.weights)).toEqual([2, 4, 13]);
    // The sizes are equal, except for a few bytes from rounding up.
    for (const { temporaries } of [four, huge]) expect(temporaries / pass.temporaries).toBeCloseTo(1, 2);
    expect(one.saving).toBe(3 * one.weights);
    expect(four).toMatchObject({ saving: 0, weights: one.weights });
  });

  it("has no room for all logits of a large vocabulary", async () => {
    const config = resolveConfig("book", [smallRun, { model: { contextLength: 64 }, train: { batchSize: 64 } }]);
    for (const [activations, tiles] of [
      ["float32", null],
      ["float32", "float32"],
      ["bfloat16", null],
      ["bfloat16", "bfloat16"],
    ] as const) {
      const large = { ...needs, vocabSize: 50_000, valTokens: 10_000, kind: { activations, tiles } };
      const { temporaries } = await estimateMemory(config, large);
      expect(temporaries).toBeLessThan((4 * 64 * 64 * 50_000) / 10);
    }
  });

  it("takes no time for a model that no machine could hold", async () => {
    const model = { nEmbd: 8192, nLayer: 100, nHead: 64, contextLength: 1024 };
    const config = resolveConfig("book", [{ model, train: { batchSize: 1 } }]);
    const { weights, saving, total } = await estimateMemory(config, { ...needs, vocabSize: 50_000, saved: true });
    expect(weights).toBeGreaterThan(2 ** 38);
    expect(total).toBeGreaterThan(4 * weights);
    // Saving needs little memory, because the weights are saved tensor by tensor.
    expect(saving).toBeLessThan(weights / 50);
  });

  it("counts the text while it is read, and a checkpoint while it is loaded, where they are the most", async () => {
    const config = resolveConfig("book", [smallRun]);
    const usual = await estimateMemory(config, needs);
    const { text, reading } = { text: 2 ** 30, reading: 2 ** 29 };
    expect((await estimateMemory(config, { ...needs, text, reading })).total).toBe(text + reading);
    const resumed = await estimateMemory(config, { ...needs, resumed: true });
    expect(resumed.loading).toBe(3 * resumed.weights);
    expect(resumed.total).toBeGreaterThanOrEqual(usual.total);
  });
});

describe("a run that does not fit", () => {
  const refusal = async (config: RunConfig, bytes: number, container: number | null = null): Promise<string> => {
    const error: unknown = await checkMemory(config, needs, await estimateMemory(config, needs), {
      bytes,
      container,
    }).then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    if (!(error instanceof ConfigError)) throw new Error("must be refused");
    return error.message;
  };
  const totalOf = async (config: RunConfig): Promise<number> => (await estimateMemory(config, needs)).total;
  const withBatch = (batchSize: number, contextLength = 16): RunConfig =>
    resolveConfig("book", [smallRun, { model: { contextLength }, train: { batchSize } }]);

  it("is refused with the largest batch that would fit", async () => {
    const available = await totalOf(withBatch(30));
    const message = await refusal(withBatch(200), available, 4 * 2 ** 30);
    expect(message).toMatch(
      /^memory: the run must fit into free memory; got [\d.]+ MiB needed, [\d.]+ MiB free of the container's 4\.0 GiB; try train\.batchSize \d+$/u,
    );
    const batch = Number(/\d+$/u.exec(message)?.[0]);
    expect(batch).toBeGreaterThanOrEqual(30);
    expect(await totalOf(withBatch(batch))).toBeLessThanOrEqual(available);
    expect(await totalOf(withBatch(batch + 1))).toBeGreaterThan(available);
  });

  it("is refused without a word of computing blocks again where that would not do, or is done", async () => {
    const recomputing = (config: RunConfig): RunConfig => ({
      ...config,
      train: { ...config.train, recomputeActivations: true },
    });
    const available = await totalOf(recomputing(withBatch(200)));
    expect(await refusal(withBatch(200), available)).toMatch(/try train\.recomputeActivations true, .*, or train/u);
    expect(await refusal(withBatch(200), available - 1)).toMatch(/free; try train\.batchSize \d+$/u);
    expect(await refusal(recomputing(withBatch(200)), available - 1)).toMatch(/free; try train\.batchSize \d+$/u);
  });

  it("is refused with the longest context where one row is too much", async () => {
    const available = await totalOf(withBatch(1, 600));
    const message = await refusal(withBatch(1, 1500), available);
    expect(message).toMatch(/MiB free; try train\.batchSize 1 with model\.contextLength \d+$/u);
    const context = Number(/\d+$/u.exec(message)?.[0]);
    expect(context).toBeGreaterThanOrEqual(600);
    expect(await totalOf(withBatch(1, context))).toBeLessThanOrEqual(available);
  });

  it("is refused for its model where nothing else would help", async () => {
    expect(await refusal(withBatch(1), 1000)).toMatch(/got [\d.]+ [KM]iB needed, 1\.0 KiB free; try a smaller model/u);
  });

  it("is warned of where it is to run anyway", async () => {
    const memory = { ...(await estimateMemory(withBatch(1), needs)), total: 3 * 2 ** 30 };
    expect(memoryWarning(memory, 3 * 2 ** 30)).toBeUndefined();
    expect(memoryWarning(memory, null)).toBeUndefined();
    expect(memoryWarning(memory, 2 ** 29)).toMatch(/needs about 3\.0 GiB of memory, but only 512\.0 MiB are free/u);
  });

  it("leaves nothing behind, and runs where it is told to", async () => {
    const data = await writeText(wordsText("memory", 300));
    const out = newPath();
    const options = {
      preset: "book",
      config: smallRun,
      data,
      out,
      backend: "reference",
      availableMemory: 2 ** 20,
    } as const;
    await expect(collect(train(options))).rejects.toThrow(/^memory: the run must fit into free memory; got /u);
    expect(await readdir(dirname(out))).not.toContain(out.slice(dirname(out).length + 1));
    const plan = { ...smallRun, train: { ...smallRun.train, steps: 1 } };
    const events = await collect(train({ ...options, config: plan, memoryCheck: false }));
    expect(ofType(events, "start")[0]?.availableMemory).toBe(2 ** 20);
    expect(ofType(events, "done")).toHaveLength(1);
  });

  it("is refused before its text is read, where the file is larger than what is free", async () => {
    // A program that reads the file would refuse its contents. So the error shows that the file is not read.
    const data = await writeText("\0".repeat(2 ** 20));
    const error = train({ data, out: null, availableMemory: 2 ** 20 }).next();
    await expect(error).rejects.toThrow(
      /text must fit into free memory; got 1\.0 MiB, which take 3\.0 MiB or more, 1\.0 MiB free; try a part of it$/u,
    );
    expect(() => checkTextSize("notes.txt", 100, { bytes: 300, container: null })).not.toThrow();
    expect(() => checkTextSize("notes.txt", 101, { bytes: 300, container: null })).toThrow(ConfigError);
  });
});
