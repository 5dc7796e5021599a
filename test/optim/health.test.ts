import { describe, expect, it } from "vitest";
import { createArena, initialise } from "#foretoken/models/arena.js";
import { modelLayout } from "#foretoken/models/model.js";
import type { OptimizerConfig } from "#foretoken/optim/config.js";
import { createOptimizer } from "#foretoken/optim/optimizer.js";
import { resolveConfig } from "#foretoken/train/prepare/prepare.js";
import { forEachBackend } from "../support/backends.ts";
import { smallMuonRun, smallRun } from "../support/runs.ts";

const adam: OptimizerConfig = { kind: "adam", beta1: 0.9, beta2: 0.99, eps: 1e-8, weightDecay: 0.1 };
const muon = resolveConfig("shakespeare", [smallMuonRun]).train.optimizer;

forEachBackend("an optimizer", ({ open }) => {
  describe.each([
    ["adam", adam, resolveConfig("book", [smallRun]).model],
    ["adamw", { ...adam, kind: "adamw" } as const, resolveConfig("book", [smallRun]).model],
    ["muon", muon, resolveConfig("shakespeare", [smallMuonRun]).model],
  ] as const)("%s", (_, config, model) => {
    it("tells of a gradient that is not finite, in whichever parameter, and of nothing else", async () => {
      const backend = await open(2);
      const layout = modelLayout(model, 11);
      const values = createArena(backend, layout);
      const gradients = createArena(backend, layout);
      initialise(backend, layout, values, 1);
      const optimizer = createOptimizer(backend, layout, config);
      const update = (step: number, learningRate = 1e-3): void =>
        optimizer.update({ values, gradients, step, learningRate, gradScale: 1 });
      const begin = (): void => {
        for (const { storage } of [values, ...optimizer.state.map(({ arena }) => arena)])
          backend.write(storage, new Float32Array(storage.length));
        initialise(backend, layout, values, 1);
        optimizer.forget();
      };
      const ones = new Float32Array(layout.length).fill(0.01);
      backend.write(gradients.storage, ones);
      expect(await optimizer.isFinite()).toBe(true);
      for (let step = 1; step < 4; step++) update(step);
      expect(await optimizer.isFinite()).toBe(true);
      for (const { name, offset, size } of layout.parameters) {
        const at = offset + size - 1;
        begin();
        backend.write(gradients.storage, Float32Array.of(Number.NaN), at);
        update(1);
        expect(await optimizer.isFinite(), name).toBe(false);
        // `isFinite` stays false until `begin` tells it that the values were replaced.
        backend.write(gradients.storage, ones);
        begin();
        update(1);
        expect(await optimizer.isFinite(), name).toBe(true);
      }
      begin();
      for (const step of [1, 2, 3]) update(step, 3.4e38);
      expect(await optimizer.isFinite()).toBe(false);
      optimizer.close();
      backend.free(values.storage);
      backend.free(gradients.storage);
      expect(backend.bytesInUse()).toBe(0);
      await backend.close();
    });
  });
});
