import { describe, expect, it } from "vitest";
import { dropoutSource, trainingContext, withContext } from "#foretoken/autograd/context.js";
import type { Backend } from "#foretoken/backend/backend.js";
import { openReference } from "#foretoken/backend/implementations/reference/reference.js";
import type { TrainerConfig } from "#foretoken/config/config.js";
import { randomKey } from "#foretoken/core/random.js";
import { forwardLoss } from "#foretoken/models/forward.js";
import { createModel } from "#foretoken/models/model.js";
import { dropoutPlaces } from "#foretoken/models/transformer.js";
import { resolveConfig } from "#foretoken/train/prepare/prepare.js";
import { passesPerStep } from "#foretoken/trainer/passes.js";
import { readPart } from "#foretoken/trainer/state.js";
import type { Team } from "#foretoken/trainer/team.js";
import { createTrainer, type StepResult } from "#foretoken/trainer/trainer.js";
import { compiled, forEachBackend } from "../support/backends.ts";
import { hashedIds } from "../support/models.ts";
import { smallMuonRun, smallRun } from "../support/runs.ts";
import { teamOf } from "../support/teams.ts";

const vocabSize = 11;
const tokens = hashedIds("team", 500, vocabSize);

interface Trained {
  readonly steps: readonly StepResult[];
  readonly weights: Float32Array;
}

const trained = async (backend: Backend, config: TrainerConfig, member?: Team): Promise<Trained> => {
  const trainer = createTrainer(backend, config, vocabSize, tokens, member);
  const steps: StepResult[] = [];
  for (let step = 0; step < 3; step++) steps.push(await trainer.step(step));
  const weights = await readPart(trainer.snapshot().weights);
  trainer.close();
  return { steps, weights };
};

const withTrain = (train: object): TrainerConfig => resolveConfig("book", [smallRun, { train }]);
const muon = resolveConfig("shakespeare", [smallMuonRun, { train: { gradAccumSteps: 5 } }]);

forEachBackend(
  "machines that train together",
  ({ open }) => {
    it.each([
      ["Adam with dropout, micro-batches", withTrain({ gradAccumSteps: 6 })],
      ["Muon with dropout, micro-batches", muon],
      ["one batch of many passes", withTrain({ batchSize: 4 * 256, gradAccumSteps: 1, steps: 3 })],
    ])("have the bits of one: %s", async (_, config) => {
      expect(passesPerStep(config, "windows")).toBeGreaterThanOrEqual(4);
      const backend = await open(2);
      const one = await trained(backend, config);
      for (const size of [1, 2, 4]) {
        for (const all of await Promise.all(teamOf(size).map((member) => trained(backend, config, member)))) {
          expect(all, `${size} machines`).toEqual(one);
        }
      }
      await backend.close();
    });
  },
  compiled,
);

describe("places that drop", () => {
  it.each([
    ["book", resolveConfig("book", [smallRun])],
    ["shakespeare", resolveConfig("shakespeare", [smallMuonRun])],
  ])("are as many as are counted for a pass: %s", async (_, { model: config }) => {
    const backend = await openReference();
    const model = createModel(backend, config, vocabSize);
    const source = dropoutSource(randomKey(1, "dropout", 0), 1000);
    await withContext(trainingContext(backend, source), (context) => {
      const watched = [...model.arena.tensors.values()];
      for (const weight of watched) context.tape.watch(weight, context.memory.allocate(weight.shape));
      forwardLoss(context, model, tokens.slice(0, 16), tokens.slice(1, 17), 1, 16);
    });
    expect(source.nextSite()).toBe(1000 + dropoutPlaces(config));
    await backend.close();
  });
});
