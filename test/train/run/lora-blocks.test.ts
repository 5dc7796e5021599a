import { readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import type { Backend } from "#foretoken/backend/backend.js";
import { evaluate } from "#foretoken/evaluate/evaluate.node.js";
import { bytesOfTensor } from "#foretoken/models/block-arena.js";
import { modelLayout } from "#foretoken/models/model.js";
import { saveGguf } from "#foretoken/pretrained/gguf/write/save.node.js";
import { loadPretrained } from "#foretoken/pretrained/load.node.js";
import { openPretrained } from "#foretoken/pretrained/open.node.js";
import { estimateMemory } from "#foretoken/train/prepare/memory.js";
import { resolveConfig } from "#foretoken/train/prepare/prepare.js";
import { type NewRun, train } from "#foretoken/train/train.node.js";
import { createTrainer } from "#foretoken/trainer/trainer.js";
import { compiled, forEachBackend } from "../../support/backends.ts";
import { writeGguf } from "../../support/gguf.ts";
import { type GgufKind, ggufConfigs, ggufModel, ggufVocabSize } from "../../support/gguf-models.ts";
import {
  anyBackend,
  checkpointHashes,
  collect,
  ofType,
  smallRun,
  timelessMetrics,
  useFolder,
  wordsText,
} from "../../support/runs.ts";

const { newPath, writeText } = useFolder();

/**
 * Four-bit models. In one file, the rows of queries and keys have llama.cpp's order. In the other file, the embedding
 * is also the output head.
 */
const models: Record<"llama" | "qwen3", string> = { llama: "", qwen3: "" };
let data = "";

const writeModel = async (kind: GgufKind, encoding: "q4_1" | "q8_0" = "q4_1"): Promise<string> => {
  const wide = `${newPath()}.gguf`;
  await writeFile(wide, writeGguf(ggufModel(kind).file));
  const path = `${newPath()}.gguf`;
  await saveGguf(path, wide, { encoding });
  return path;
};

beforeAll(async () => {
  models.llama = await writeModel("llama");
  models.qwen3 = await writeModel("qwen3");
  data = await writeText(wordsText("blocks", 120));
});

const lora = { rank: 3, alpha: 6, dropout: 0.2 };
const plan = { ...smallRun.train, steps: 8, learningRate: 2e-2, dtype: "float32" } as const;

const begin = (initFrom: string, options: Partial<NewRun> = {}) =>
  train({
    ...{ initFrom, data, out: null, finalSampleTokens: 3 },
    config: { lora, train: plan },
    ...options,
  } as NewRun);

const lossesOf = async (initFrom: string, options: Partial<NewRun>) => {
  const events = await collect(begin(initFrom, options));
  return {
    steps: ofType(events, "step").map(({ loss }) => loss),
    evals: ofType(events, "eval").map(({ valLoss }) => valLoss),
  };
};

forEachBackend(
  "adapters beside weights in blocks",
  ({ name, open }) => {
    it.each(["llama", "qwen3"] as const)(
      "of %s learn as beside widened ones, to the bit in float32 and with blocks that are computed again",
      async (kind) => {
        const blocks = await lossesOf(models[kind], { backend: name, threads: 2 });
        const widened = await lossesOf(models[kind], { backend: name, threads: 2, keepBlocks: false });
        expect(blocks.steps).toEqual(widened.steps);
        const recomputing = { lora, train: { ...plan, recomputeActivations: true } };
        expect(await lossesOf(models[kind], { backend: name, threads: 1, config: recomputing })).toEqual(blocks);
        // Evaluations round activations to 8 bits, as the loaded model does.
        for (const [i, loss] of blocks.evals.entries())
          expect(Math.abs(loss - (widened.evals[i] ?? 0))).toBeLessThan(0.01);
        expect(blocks.evals).not.toEqual(widened.evals);
        expect(blocks.evals.at(-1)).toBeLessThan((blocks.evals[0] ?? 0) - 0.1);
      },
    );

    it("go on where they were stopped, to the bit, with any number of threads and the base in another place", async () => {
      const model = await writeModel("llama");
      const whole = newPath();
      await collect(begin(model, { backend: name, threads: 2, out: whole }));
      expect(JSON.parse(await readFile(join(whole, "run.json"), "utf8")).data.initFrom).toMatchObject({ blocks: true });
      const expected = await checkpointHashes(whole);
      for (const [stopAt, threads] of [
        [5, 1],
        [3, 3],
      ] as const) {
        const out = newPath();
        await collect(begin(model, { backend: name, threads, out, stopAt }));
        // The run uses its own copy of the base.
        if (stopAt === 3) await rename(model, `${model}-moved`);
        await collect(train({ resume: out, backend: name, threads: 2 }));
        expect(await checkpointHashes(out), `stopped after ${stopAt}`).toEqual(expected);
        expect(await timelessMetrics(out)).toEqual((await timelessMetrics(whole)).map((event) => event));
      }
    });

    it("have the losses of their run when they are loaded, to the bit", async () => {
      const out = newPath();
      const { evals } = await (async () => {
        const events = await collect(begin(models.qwen3, { backend: name, out }));
        return { evals: ofType(events, "eval").map(({ valLoss }) => valLoss) };
      })();
      const options = { backend: name, dtype: "float32", asInTraining: true } as const;
      const lossOf = async (keepBlocks: boolean): Promise<number> => {
        const lm = await loadPretrained(join(out, "checkpoint"), { ...options, keepBlocks });
        const { natsPerToken } = await evaluate(lm, { data, split: "val" });
        await lm.close();
        return natsPerToken;
      };
      expect(await lossOf(true)).toBe(evals.at(-1));
      expect(await lossOf(false)).not.toBe(evals.at(-1));
    });

    it("hold no copy of the matrices in float32, also while a step is computed", async () => {
      const config = resolveConfig("shakespeare", [{ model: ggufConfigs.llama, lora, train: plan }]);
      const layout = modelLayout(config.model, ggufVocabSize);
      const { weights } = await openPretrained(models.llama);
      const rows = weights.blockRows?.(layout) ?? [];
      await weights.close();
      const tokens = Int32Array.from({ length: 400 }, (_, i) => (7 * i) % 200);
      const measured = async (baseRows: typeof rows) => {
        const backend = await open(1, "float32");
        let peak = 0;
        const counted: Backend = {
          ...backend,
          alloc(dtype, length) {
            const storage = backend.alloc(dtype, length);
            peak = Math.max(peak, backend.bytesInUse());
            return storage;
          },
        };
        const trainer = createTrainer(counted, config, ggufVocabSize, tokens, undefined, baseRows);
        const held = backend.bytesInUse();
        const tensors = [...(trainer.base?.arena.tensors.values() ?? [])];
        const inBlocks = tensors.filter(({ blocks }) => blocks !== undefined);
        const bytes = inBlocks.reduce((sum, tensor) => sum + bytesOfTensor(tensor), 0);
        peak = 0;
        await trainer.measure(0);
        trainer.close();
        await backend.close();
        return { held, peak, bytes };
      };
      const blocks = await measured(rows);
      const widened = await measured([]);
      const matrices = layout.parameters.filter(({ shape }) => shape.length === 2);
      const all = 4 * matrices.reduce((sum, { size }) => sum + size, 0);
      const largest = 4 * Math.max(...matrices.map(({ size }) => size));
      expect(blocks.bytes).toBeLessThan(all / 4);
      expect(blocks.held).toBeLessThanOrEqual(widened.held - all + blocks.bytes + 2 ** 12);
      expect(blocks.peak).toBeLessThanOrEqual(widened.peak - all + blocks.bytes + largest + 2 ** 12);
    });
  },
  compiled,
);

describe("a run of adapters beside weights in blocks", () => {
  it("learns in bfloat16 nearly as beside widened weights", async () => {
    const config = { lora: { ...lora, dropout: 0 }, train: { ...plan, dtype: "bfloat16" } } as const;
    const options = { ...anyBackend, config };
    const [blocks, widened] = [
      await lossesOf(models.llama, options),
      await lossesOf(models.llama, { ...options, keepBlocks: false }),
    ];
    for (const [i, loss] of blocks.steps.entries()) expect(Math.abs(loss - (widened.steps[i] ?? 0))).toBeLessThan(0.02);
  });

  it("needs less memory, by the estimate before it begins", async () => {
    const config = resolveConfig("shakespeare", [{ model: ggufConfigs.llama, lora, train: plan }]);
    const layout = modelLayout(config.model, ggufVocabSize);
    const { weights } = await openPretrained(models.llama);
    const baseRows = weights.blockRows?.(layout) ?? [];
    await weights.close();
    const needs = { vocabSize: ggufVocabSize, valTokens: 50, sampleTokens: 0, saved: true, resumed: false };
    const more = { ...needs, text: 0, reading: 0, program: 0 };
    const [blocks, widened] = [await estimateMemory(config, { ...more, baseRows }), await estimateMemory(config, more)];
    expect(blocks.weights).toBeLessThan(0.5 * widened.weights);
    expect(blocks.loading).toBe(0);
    expect(widened.loading).toBe(4 * layout.length);
  });

  it("widens a file of other numbers as before, and refuses the option where it has no effect", async () => {
    const wide = `${newPath()}.gguf`;
    await writeFile(wide, writeGguf(ggufModel("llama").file));
    const out = newPath();
    await collect(begin(wide, { ...anyBackend, out, stopAt: 1 }));
    const { data: described } = JSON.parse(await readFile(join(out, "run.json"), "utf8"));
    expect(Object.keys(described.initFrom)).toEqual(["path", "sha256"]);
    const messageOf = (options: Partial<NewRun>) =>
      collect(begin(models.llama, { ...anyBackend, ...options })).then(
        () => "",
        (error: Error) => error.message,
      );
    expect(await messageOf({ keepBlocks: true, config: { train: plan } })).toBe(
      "keepBlocks: must be used with adapters: a run that trains all weights never keeps blocks; got a run without adapters; try leaving it out",
    );
    expect(await messageOf({ keepBlocks: 1 as unknown as boolean })).toMatch(/^keepBlocks: /u);
    // Trained weights are converted to floating-point numbers.
    expect(await messageOf({ config: { train: plan }, stopAt: 1 })).toBe("");
  });
});
