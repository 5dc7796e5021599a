import { expect, it } from "vitest";
import type { TrainerConfig } from "#foretoken/config/config.js";
import { initialise } from "#foretoken/models/arena.js";
import { resolveConfig } from "#foretoken/train/prepare/prepare.js";
import { passesOfText, passesPerStep } from "#foretoken/trainer/passes.js";
import { type Division, divisionOf } from "#foretoken/trainer/passes-beside.js";
import { readPart } from "#foretoken/trainer/state.js";
import { alone } from "#foretoken/trainer/team.js";
import { trainerOn } from "#foretoken/trainer/trainer.js";
import { compiled, forEachBackend } from "../support/backends.ts";
import { hashedIds } from "../support/models.ts";
import { smallMuonRun, smallRun } from "../support/runs.ts";

const vocabSize = 11;
const text = hashedIds("beside", 3000, vocabSize);

const withTrain = (train: object, model = {}): TrainerConfig => resolveConfig("book", [smallRun, { model, train }]);
const configs: readonly (readonly [string, TrainerConfig])[] = [
  ["two passes", withTrain({ gradAccumSteps: 2 }, { dropout: 0 })],
  ["five passes with dropout", withTrain({ gradAccumSteps: 5 })],
  ["passes of two sizes", withTrain({ batchSize: 33, gradAccumSteps: 1 })],
  ["passes of two slices with dropout", withTrain({ batchSize: 150, gradAccumSteps: 1 })],
  ["blocks computed again", withTrain({ gradAccumSteps: 3, recomputeActivations: true })],
  [
    "adapters with dropout",
    {
      ...withTrain({ gradAccumSteps: 4 }, { dropout: 0 }),
      lora: { rank: 2, alpha: 4, targets: ["query", "up"], dropout: 0.1 },
    },
  ],
  ["Muon, SwiGLU, rotations", resolveConfig("shakespeare", [smallMuonRun, { train: { gradAccumSteps: 4 } }])],
];

forEachBackend(
  "passes beside each other",
  ({ open }) => {
    const stepsOn = async (config: TrainerConfig, division: Division | undefined, threads: number) => {
      const backend = await open(threads);
      const before = backend.bytesInUse();
      const trainer = trainerOn(backend, config, vocabSize, passesOfText(config, text), alone, () => division);
      trainer.restore(null);
      if (trainer.base !== null) initialise(backend, trainer.base.layout, trainer.base.arena, 7);
      const results: unknown[] = [];
      for (let step = 0; step < 4; step++) results.push(await trainer.step(step));
      // If the test observes a step, the passes are computed one after the other.
      results.push(await trainer.measure(4, { kernel: () => {}, phase: () => {} }), await trainer.step(4));
      const weights = await readPart(trainer.snapshot().weights);
      trainer.close();
      expect(backend.bytesInUse()).toBe(before);
      await backend.close();
      return { results, weights };
    };

    it("end with the error alone of a backend that is closed while they are recorded", async () => {
      const [, config] = configs[0] ?? [];
      if (config === undefined) throw new Error("there is a configuration");
      const backend = await open(2);
      const division = { branches: 2, threads: 1 };
      const trainer = trainerOn(backend, config, vocabSize, passesOfText(config, text), alone, () => division);
      trainer.restore(null);
      const refused = expect(trainer.step(0)).rejects.toThrow("backend must be open");
      await backend.close();
      await refused;
    });

    it.each(configs)("give the bits of passes one after the other: %s", async (_, config) => {
      const one = await stepsOn(config, undefined, 1);
      expect(await stepsOn(config, { branches: 2, threads: 1 }, 2)).toEqual(one);
      // There are more branches than threads, so some threads compute two branches.
      if (passesPerStep(config, "windows") >= 4)
        expect(await stepsOn(config, { branches: 4, threads: 1 }, 3)).toEqual(one);
      expect(await stepsOn(config, { branches: 2, threads: 2 }, 4)).toEqual(one);
    });

    it("give the same bits on 1 to 6 threads, of which a branch has some or all", async () => {
      const config = withTrain({ gradAccumSteps: 2 });
      const one = await stepsOn(config, undefined, 1);
      for (const [i, ofEach] of [1, 2, 1, 3, 2, 3].entries())
        expect(await stepsOn(config, { branches: 2, threads: ofEach }, i + 1)).toEqual(one);
    });
  },
  compiled,
);

it.each([
  [1, 2, undefined],
  [2, 1, undefined],
  [2, 2, { branches: 2, threads: 1 }],
  [3, 2, undefined],
  [4, 2, { branches: 2, threads: 1 }],
  [2, 4, { branches: 2, threads: 2 }],
  [4, 4, { branches: 4, threads: 1 }],
  [4, 3, undefined],
  [16, 6, { branches: 2, threads: 3 }],
  [15, 2, { branches: 2, threads: 1 }],
])("%i passes on %i threads", (passes, threads, expected) => {
  expect(divisionOf(passes, threads)).toEqual(expected);
});
