import { expect, it } from "vitest";
import type { Backend } from "#foretoken/backend/backend.js";
import type { TrainerConfig } from "#foretoken/config/config.js";
import { type Documents, documentsBuilder } from "#foretoken/data/documents.js";
import { initialise } from "#foretoken/models/arena.js";
import { freshModel, type Model } from "#foretoken/models/model.js";
import { resolveConfig } from "#foretoken/train/prepare/prepare.js";
import { passesOfDocuments, passesOfText } from "#foretoken/trainer/passes.js";
import type { Division } from "#foretoken/trainer/passes-beside.js";
import { readPart } from "#foretoken/trainer/state.js";
import { alone, type Team } from "#foretoken/trainer/team.js";
import { createTrainer, trainerOn } from "#foretoken/trainer/trainer.js";
import { compiled, forEachBackend } from "../support/backends.ts";
import { hashInteger } from "../support/hash.ts";
import { hashedIds } from "../support/models.ts";
import { smallRun } from "../support/runs.ts";
import { teamOf } from "../support/teams.ts";

const vocabSize = 11;
const text = hashedIds("taught", 3000, vocabSize);

/** Conversations. Only their answers count. */
const documents: Documents = (() => {
  const builder = documentsBuilder("d");
  for (let document = 0; document < 12; document++) {
    for (const answers of [false, true, false, true]) {
      const length = 1 + hashInteger(`turn ${answers}`, document, 5);
      builder.add(hashedIds(`turn ${document} ${answers}`, length, vocabSize), answers);
    }
    builder.end();
  }
  return builder.build();
})();

const configOf = (train: object, model: object = { dropout: 0 }): TrainerConfig =>
  resolveConfig("book", [smallRun, { model, train: { teacher: { weight: 0.6, temperature: 2 }, ...train } }]);

/** A teacher of another shape than the student's. */
const teacherShape = { ...configOf({}).model, nLayer: 1, nEmbd: 24, contextLength: 20 };

const forText = (backend: Backend, config: TrainerConfig, teachers: readonly Model[], division?: Division) =>
  trainerOn(backend, config, vocabSize, passesOfText(config, text), alone, () => division, [], teachers);

const adapters = { rank: 2, alpha: 4, targets: ["query", "up"], dropout: 0.1 } as const;
const configs: readonly (readonly [string, TrainerConfig])[] = [
  ["two passes", configOf({ gradAccumSteps: 2 })],
  ["five passes with dropout", configOf({ gradAccumSteps: 5 }, {})],
  ["blocks computed again", configOf({ gradAccumSteps: 4, recomputeActivations: true })],
  ["adapters", { ...configOf({ gradAccumSteps: 4 }), lora: { ...adapters, targets: [...adapters.targets] } }],
];

forEachBackend(
  "a trainer with teachers",
  ({ open }) => {
    it.each(configs)(
      "has the same bits with branches and with threads, and leaves its teachers alone: %s",
      async (_, config) => {
        const stepsOn = async (division: Division | undefined, threads: number) => {
          const backend = await open(threads);
          const teachers = [3, 4].map((seed) => freshModel(backend, teacherShape, vocabSize, seed));
          const weightsOf = () => Promise.all(teachers.map(({ arena }) => backend.read(arena.storage)));
          const before = await weightsOf();
          const held = backend.bytesInUse();
          const trainer = forText(backend, config, teachers, division);
          trainer.restore(null);
          if (trainer.base !== null) initialise(backend, trainer.base.layout, trainer.base.arena, 7);
          const results: unknown[] = [];
          for (let step = 0; step < 3; step++) results.push(await trainer.step(step));
          results.push(await trainer.measure(3, { kernel: () => {}, phase: () => {} }), await trainer.step(3));
          const weights = await readPart(trainer.snapshot().weights);
          trainer.close();
          expect(backend.bytesInUse()).toBe(held);
          expect(await weightsOf()).toEqual(before);
          await backend.close();
          return { results, weights };
        };
        const one = await stepsOn(undefined, 1);
        expect(one.results[0]).toMatchObject({ teacherLoss: expect.any(Number) });
        expect(await stepsOn(undefined, 3)).toEqual(one);
        for (const threads of [2, 3]) expect(await stepsOn({ branches: 2, threads: 1 }, threads)).toEqual(one);
      },
    );

    it("has the same bits with accumulation, and on several machines", async () => {
      const backend = await open(2);
      const teachers = [freshModel(backend, teacherShape, vocabSize, 3)];
      const trained = async (train: object, team?: Team) => {
        const trainer = createTrainer(backend, configOf(train), vocabSize, text, team, [], undefined, teachers);
        const steps: unknown[] = [];
        for (let step = 0; step < 2; step++) steps.push(await trainer.step(step));
        const weights = await readPart(trainer.snapshot().weights);
        trainer.close();
        return { steps, weights };
      };
      const whole = await trained({ batchSize: 4 * 256, gradAccumSteps: 1, windows: "shuffled" });
      expect(await trained({ batchSize: 2 * 256, gradAccumSteps: 2, windows: "shuffled" })).toEqual(whole);
      const one = await trained({ gradAccumSteps: 4 });
      for (const all of await Promise.all(teamOf(2).map((member) => trained({ gradAccumSteps: 4 }, member))))
        expect(all).toEqual(one);
      await backend.close();
    });

    it("learns from documents only where the text counts", async () => {
      const backend = await open(2);
      const teachers = [freshModel(backend, teacherShape, vocabSize, 3)];
      const config = configOf({ teacher: { weight: 1, temperature: 1 }, batchSize: 4, gradAccumSteps: 1 });
      const measured = async (taught: readonly Model[]) => {
        const source = passesOfDocuments(config, documents);
        const trainer = trainerOn(backend, config, vocabSize, source, alone, () => undefined, [], taught);
        trainer.restore(null);
        const result = await trainer.measure(0);
        trainer.close();
        return result;
      };
      const { loss, teacherLoss = Number.NaN } = await measured(teachers);
      expect(loss).toBeGreaterThan(1);
      expect(teacherLoss).toBeGreaterThan(0);
      expect(teacherLoss).toBeLessThan(1);
      // The student itself as the teacher: nothing to learn.
      const student = freshModel(backend, config.model, vocabSize, config.train.seed);
      expect(await measured([student])).toEqual({ loss, teacherLoss: 0, gradNorm: 0 });
      await backend.close();
    });
  },
  compiled,
);

forEachBackend("the gradient of a step with teachers", ({ open, name }) => {
  it.skipIf(name !== "native")("is what finite differences of both losses say", async () => {
    const backend = await open(1);
    const teachers = [3, 4].map((seed) => freshModel(backend, teacherShape, vocabSize, seed));
    const config = configOf({ gradAccumSteps: 2, batchSize: 2 }, { dropout: 0, initStd: 0.3 });
    const { weight } = config.train.teacher ?? { weight: Number.NaN };
    const trainer = forText(backend, config, teachers);
    trainer.restore(null);
    const { arena } = trainer.model;
    await trainer.measure(0);
    const gradient = Float32Array.from(await backend.read(trainer.gradients.arena.storage));
    const values = Float32Array.from(await backend.read(arena.storage));
    const norm = Math.hypot(...gradient);
    const direction = Float32Array.from(gradient, (g) => g / norm);
    const lossAt = async (h: number): Promise<number> => {
      backend.write(
        arena.storage,
        values.map((value, i) => value + h * (direction[i] as number)),
      );
      trainer.model.weightsChanged();
      const { loss, teacherLoss = Number.NaN } = await trainer.measure(0);
      return (1 - weight) * loss + weight * teacherLoss;
    };
    const h = 0.005;
    const slope = ((await lossAt(h)) - (await lossAt(-h))) / (2 * h);
    expect(Math.abs(slope / norm - 1)).toBeLessThan(2e-3);
    trainer.close();
    await backend.close();
  });
});
