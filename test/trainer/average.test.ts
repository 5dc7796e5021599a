import { describe, expect, it } from "vitest";
import { openReference } from "#foretoken/backend/implementations/reference/reference.js";
import { openBackend } from "#foretoken/backend/select.node.js";
import type { AverageConfig } from "#foretoken/config/average.js";
import type { RunConfig } from "#foretoken/config/config.js";
import { estimateMemory } from "#foretoken/train/prepare/memory.js";
import { resolveConfig } from "#foretoken/train/prepare/prepare.js";
import { isOfAverage } from "#foretoken/trainer/average-layouts.js";
import { readPart, readSnapshot } from "#foretoken/trainer/state.js";
import { createTrainer, type Trainer } from "#foretoken/trainer/trainer.js";
import { forEachBackend } from "../support/backends.ts";
import { hashedIds } from "../support/models.ts";
import { smallMuonRun, smallRun } from "../support/runs.ts";
import { teamOf } from "../support/teams.ts";

const vocabSize = 11;
const tokens = hashedIds("average", 500, vocabSize);

const configWith = (average: AverageConfig | undefined): RunConfig =>
  resolveConfig("book", [smallRun, average === undefined ? {} : { train: { average } }]);

const ema = { kind: "ema", decay: 0.6 } as const;
const lastK = { kind: "last-k", count: 3 } as const;

const weightsOf = (trainer: Trainer): Promise<Float32Array> => readPart(trainer.snapshot().weights);

/** The averaged weights at a step. */
const averageAt = (trainer: Trainer, step: number): Promise<Float32Array> => {
  if (trainer.average === null) throw new Error("the trainer has no average");
  return trainer.average.during(step, () => weightsOf(trainer));
};

/** Compares with float64 values. The bound allows `roundings` roundings of numbers up to the largest value. */
const expectClose = (values: Float32Array, exact: Float64Array, roundings: number): void => {
  const largest = exact.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  const bound = roundings * 2 ** -24 * largest;
  const worst = values.reduce((most, value, i) => Math.max(most, Math.abs(value - (exact[i] as number))), 0);
  expect(worst, `bound ${bound}`).toBeLessThanOrEqual(bound);
};

forEachBackend("an average of a trainer's weights", ({ open }) => {
  it.each(["float32", "bfloat16"] as const)("ema is that of float64 arithmetic: %s", async (dtype) => {
    const backend = await open(2, dtype);
    const trainer = createTrainer(backend, configWith(ema), vocabSize, tokens);
    let exact = new Float64Array();
    for (let t = 1; t <= 12; t++) {
      await trainer.step(t - 1);
      const weights = await weightsOf(trainer);
      const decay = t === 1 ? 0 : Math.min(ema.decay, (1 + t) / (10 + t));
      if (t === 1) exact = Float64Array.from(weights);
      else exact = exact.map((value, i) => decay * value + (1 - decay) * (weights[i] as number));
      // Each step rounds two products, a sum and the decay.
      expectClose(await averageAt(trainer, t), exact, 4 * t);
      expect(await weightsOf(trainer)).toEqual(weights);
    }
    await backend.close();
  });

  it.each(["float32", "bfloat16"] as const)("last-k is that of float64 arithmetic: %s", async (dtype) => {
    const backend = await open(2, dtype);
    const trainer = createTrainer(backend, configWith(lastK), vocabSize, tokens);
    const seen: Float32Array[] = [];
    for (let step = 2; step <= 10; step += 2) {
      await trainer.step(step - 2);
      await trainer.step(step - 1);
      const weights = await weightsOf(trainer);
      seen.push(weights);
      const last = seen.slice(-lastK.count);
      const exact = Float64Array.from(
        weights,
        (_, i) => last.reduce((sum, one) => sum + (one[i] as number), 0) / last.length,
      );
      const mean = await averageAt(trainer, step);
      expectClose(mean, exact, 2 * last.length + 1);
      if (seen.length === 1) expect(mean).toEqual(weights);
      // An evaluation that was interrupted is repeated.
      expect(await averageAt(trainer, step)).toEqual(mean);
      expect(await weightsOf(trainer)).toEqual(weights);
    }
    await backend.close();
  });

  it.each([ema, lastK])("changes no bit of the training: $kind", async (average) => {
    for (const dtype of ["float32", "bfloat16"] as const) {
      const results: unknown[] = [];
      for (const one of [undefined, average]) {
        const backend = await open(2, dtype);
        const trainer = createTrainer(backend, configWith(one), vocabSize, tokens);
        const steps: unknown[] = [];
        for (let step = 0; step < 5; step++) {
          steps.push(await trainer.step(step));
          if (one !== undefined && step % 2 === 1) await averageAt(trainer, step + 1);
        }
        results.push({ steps, weights: await weightsOf(trainer) });
        await backend.close();
      }
      expect(results[1]).toEqual(results[0]);
    }
  });
});

describe("an average of a trainer's weights", () => {
  it.each([ema, lastK])("has the same bits after going back, and with 1, 2 or 3 threads: $kind", async (average) => {
    const averages: Float32Array[] = [];
    for (const threads of [1, 2, 3]) {
      const backend = await openBackend("wasm", { threads });
      const trainer = createTrainer(backend, configWith(average), vocabSize, tokens);
      const go = async (from: number): Promise<Float32Array> => {
        for (let step = from; step < from + 4; step++) {
          await trainer.step(step);
          if (step % 2 === 1) await averageAt(trainer, step + 1);
        }
        return averageAt(trainer, from + 4);
      };
      await go(0);
      const state = await readSnapshot(trainer.snapshot());
      const after = await go(4);
      trainer.restore(state);
      expect(await go(4)).toEqual(after);
      averages.push(after);
      trainer.restore(null);
      await go(0);
      expect(await readSnapshot(trainer.snapshot())).toEqual(state);
      await backend.close();
    }
    expect(averages[1]).toEqual(averages[0]);
    expect(averages[2]).toEqual(averages[0]);
  });

  it("gives the weights back where the work on the average fails", async () => {
    const backend = await openReference();
    const trainer = createTrainer(backend, configWith(ema), vocabSize, tokens);
    await trainer.step(0);
    await trainer.step(1);
    const weights = await weightsOf(trainer);
    const failing = trainer.average?.during(2, () => Promise.reject(new Error("no")));
    await expect(failing).rejects.toThrow("no");
    expect(await weightsOf(trainer)).toEqual(weights);
    await backend.close();
  });

  it.each([ema, lastK])("is whole on each machine of a team, with the bits of one machine: $kind", async (average) => {
    const config = resolveConfig("shakespeare", [smallMuonRun, { train: { gradAccumSteps: 4, average } }]);
    const backend = await openBackend("wasm", { threads: 1 });
    const averages: Float32Array[] = [];
    for (const size of [1, 2]) {
      const all = teamOf(size).map(async (member) => {
        const trainer = createTrainer(backend, config, vocabSize, tokens, member);
        for (let step = 0; step < 3; step++) await trainer.step(step);
        await averageAt(trainer, 3);
        await trainer.step(3);
        return averageAt(trainer, 4);
      });
      averages.push(...(await Promise.all(all)));
    }
    for (const one of averages) expect(one).toEqual(averages[0]);
    await backend.close();
  });

  it("is in the estimate of a run's memory", async () => {
    const needs = { vocabSize, valTokens: 50, sampleTokens: 5, saved: true, resumed: false };
    const of = (average: AverageConfig | undefined) =>
      estimateMemory(configWith(average), { ...needs, text: 0, reading: 0, program: 0 });
    const [none, one, three] = [await of(undefined), await of(ema), await of(lastK)];
    const copy = none.weights;
    expect(none.averages).toBe(0);
    // The counters are on the host.
    for (const [{ averages, moments, total }, copies] of [
      [one, 1],
      [three, 3],
    ] as const) {
      expect(averages).toBeGreaterThanOrEqual(copies * copy);
      expect(averages).toBeLessThan(copies * copy + 200);
      expect(moments).toBeGreaterThanOrEqual(none.moments - 200);
      expect(total - none.total).toBeGreaterThanOrEqual(copies * copy);
    }
  });

  it("has its arrays in the state after the optimizer's", async () => {
    const backend = await openReference();
    const trainer = createTrainer(backend, configWith(lastK), vocabSize, tokens);
    const { weights, optimizer } = trainer.snapshot();
    expect(optimizer.map(({ name }) => name)).toEqual(["m", "v", "average0", "average1", "average2", "averaged"]);
    expect([weights, ...optimizer].filter(isOfAverage)).toHaveLength(4);
    await backend.close();
  });
});
