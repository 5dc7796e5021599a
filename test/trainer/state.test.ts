import { describe, expect, it } from "vitest";
import { openReference } from "#foretoken/backend/implementations/reference/reference.js";
import { modelLayout } from "#foretoken/models/model.js";
import { resolveConfig } from "#foretoken/train/prepare/prepare.js";
import { readSnapshot, stateLayouts } from "#foretoken/trainer/state.js";
import { createTrainer, type StepResult } from "#foretoken/trainer/trainer.js";
import { hashedIds } from "../support/models.ts";
import { smallMuonRun, smallRun } from "../support/runs.ts";

const vocabSize = 11;
const tokens = hashedIds("state", 500, vocabSize);

const differing = {
  ...{ nLayer: 3, dropout: 0.2, qkNormWidth: "all", normPlacement: "both", embeddingScale: 2, attentionScale: 0.5 },
  ...{ window: { size: 3, fullEvery: 3, theta: 50 }, position: { noneEvery: 2 } },
  mlp: { kind: "geglu", hidden: 24 },
} as const;

describe("a trainer's state", () => {
  const lossesFrom = async (
    trainer: ReturnType<typeof createTrainer>,
    first: number,
  ): Promise<readonly StepResult[]> => {
    const steps: StepResult[] = [];
    for (let step = first; step < first + 3; step++) steps.push(await trainer.step(step));
    return steps;
  };

  it.each([
    ["Adam", resolveConfig("book", [smallRun])],
    ["Muon", resolveConfig("shakespeare", [smallMuonRun])],
    ["Muon, with layers that differ", resolveConfig("shakespeare", [smallMuonRun, { model: differing }])],
  ])("can be gone back to, and be another trainer's: %s", async (_, config) => {
    const backend = await openReference();
    const trainer = createTrainer(backend, config, vocabSize, tokens);
    const beginning = await lossesFrom(trainer, 0);
    const state = await readSnapshot(trainer.snapshot());
    const after = await lossesFrom(trainer, 3);
    expect(after).not.toEqual(beginning);
    trainer.restore(state);
    expect(await lossesFrom(trainer, 3)).toEqual(after);
    const other = createTrainer(backend, { ...config, train: { ...config.train } }, vocabSize, tokens);
    other.restore(state);
    expect(await lossesFrom(other, 3)).toEqual(after);
    trainer.restore(null);
    expect(await lossesFrom(trainer, 0)).toEqual(beginning);
    await backend.close();
  });

  it("has a second moment of those parameters alone whose update reads it", async () => {
    const backend = await openReference();
    const config = resolveConfig("shakespeare", [smallMuonRun]);
    const layout = modelLayout(config.model, vocabSize);
    const { weights, optimizer } = createTrainer(backend, config, vocabSize, tokens).snapshot();
    const [m, v] = optimizer;
    // The layouts without a trainer.
    const named = [weights, ...optimizer].map(({ name, layout }) => ({ name, layout }));
    expect(named).toEqual(stateLayouts(config, vocabSize));
    expect([m?.name, v?.name]).toEqual(["m", "v"]);
    expect(m?.layout).toEqual(layout);
    const names = v?.layout.parameters.map(({ name }) => name) ?? [];
    expect(names).toEqual(layout.parameters.filter(({ stacked }) => stacked === undefined).map(({ name }) => name));
    expect(names).toContain("tokens.weight");
    expect(names).not.toContain("blocks.0.attention.qkv.weight");
    await backend.close();
  });
});
