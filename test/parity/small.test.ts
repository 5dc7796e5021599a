import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { readTensor } from "#foretoken/autograd/tensor.js";
import type { TrainConfig } from "#foretoken/config/config.js";
import { presets } from "#foretoken/config/presets.js";
import { readSafetensors } from "#foretoken/io/safetensors.js";
import type { ModelConfig } from "#foretoken/models/config.js";
import { createTrainer } from "#foretoken/trainer/trainer.js";
import { forEachBackend } from "../support/backends.ts";
import { expectClose, forwardError, furthest, gradientError, largest, type PassSizes } from "../support/closeness.ts";
import { bookModel, differentiate, hashedIds, hashedModel, hashedWeights, qwen3Model } from "../support/models.ts";

interface Run {
  readonly plan: Omit<TrainConfig, "seed"> & { readonly tokens: number };
  readonly dropout: number;
  readonly losses: readonly number[];
  readonly gradNorms: readonly number[];
  readonly learningRates: readonly number[];
}

interface Fixture {
  readonly torch: string;
  readonly seed: number;
  readonly config: PassSizes & { readonly hidden?: number } & Partial<
      Pick<ModelConfig, "nKvHead" | "headDim" | "position">
    >;
  readonly batch: number;
  readonly loss: number;
  readonly runs: Readonly<Record<string, Run>>;
}

const fileOf = (name: string): URL => new URL(`../fixtures/${name}`, import.meta.url);

const readFixture = (name: string) => {
  const fixture = JSON.parse(readFileSync(fileOf(`${name}.json`), "utf8")) as Fixture;
  const { tensors } = readSafetensors(readFileSync(fileOf(`${name}.safetensors`)), `${name}.safetensors`);
  const { contextLength, nEmbd, nHead, nLayer, hidden, nKvHead, headDim, position } = fixture.config;
  const sizes = { contextLength, nEmbd, nHead, nLayer };
  const swiglu = (): ModelConfig => ({ ...qwen3Model, ...sizes, mlp: { kind: "swiglu", hidden: hidden ?? 0 } });
  const model: ModelConfig =
    hidden === undefined
      ? { ...bookModel, ...sizes }
      : position === undefined
        ? swiglu()
        : { ...swiglu(), qkNorm: false, nKvHead, headDim, position };
  return { title: `the small model of ${name}.json`, fixture, tensors, model };
};

describe.each(["small", "qwen3", "llama", "phi3"].map(readFixture))("$title", ({ fixture, tensors, model }) => {
  const tensor = (name: string): Float32Array => tensors.get(name)?.data ?? new Float32Array(0);
  const { config, batch } = fixture;
  const { vocabSize, contextLength: time } = config;

  forEachBackend(`against PyTorch ${fixture.torch}`, ({ name: backendName, open }) => {
    it("has its logits, its loss and every element of every gradient", async () => {
      const backend = await open(2);
      const small = hashedModel(backend, model, vocabSize);
      const x = hashedIds("x", batch * time, vocabSize);
      const y = hashedIds("y", batch * time, vocabSize);
      const { loss, logits, gradients } = await differentiate(small, x, y, time);
      const forward = forwardError(config) * largest(tensor("logits"));
      const backward = gradientError(config, batch * time);
      expect(gradients.size).toBe([...tensors.keys()].filter((name) => name.startsWith("gradient.")).length);
      expectClose(`${backendName}, gradients`, [
        furthest("loss", [loss], [fixture.loss], forward),
        furthest("logits", logits, tensor("logits"), forward),
        ...[...gradients].map(([name, gradient]) => {
          const expected = tensor(`gradient.${name}`);
          return furthest(name, gradient, expected, backward * largest(expected));
        }),
      ]);
      await backend.close();
    });

    describe("after ten steps", () => {
      for (const [name, { plan, dropout, losses, gradNorms, learningRates }] of Object.entries(fixture.runs)) {
        it(`of ${name}: all losses, gradient norms, learning rates and the final weights`, async () => {
          const backend = await open(2);
          const { tokens, ...given } = plan;
          const trainer = createTrainer(
            backend,
            { model: { ...model, dropout }, train: { ...presets.book.train, ...given, seed: fixture.seed } },
            vocabSize,
            hashedIds("text", tokens, vocabSize),
          );
          const { layout, arena } = trainer.model;
          backend.write(arena.storage, hashedWeights(layout));
          const results = [];
          for (let step = 0; step < plan.steps; step++) results.push(await trainer.step(step));
          expect(results.map(({ learningRate }) => learningRate)).toEqual(learningRates);

          // A step moves each weight by up to the learning rate, in the direction m/√v. So the relative error of the
          // movement equals the relative error of the gradient. The error of a gradient is `relative` times the largest
          // gradient of the tensor. So for a gradient of √relative times the largest gradient, the relative error is
          // √relative. Smaller gradients are rare. In practice, the errors are below a quarter of this bound.
          const rows = batch * time * plan.gradAccumSteps;
          const relative = gradientError(config, rows);
          const moved = learningRates.reduce((sum, rate) => sum + rate, 0);
          const found = [
            furthest(
              "losses",
              results.map(({ loss }) => loss),
              losses,
              2 * relative * Math.max(...losses),
            ),
            furthest(
              "gradient norms",
              results.map((r) => r.gradNorm),
              gradNorms,
              2 * relative * Math.max(...gradNorms),
            ),
          ];
          for (const { name: parameter, offset, shape } of layout.parameters) {
            const values = await readTensor(backend, { storage: arena.storage, offset, shape });
            const expected = tensor(`${name}.${parameter}`);
            found.push(furthest(parameter, values, expected, (Math.sqrt(relative) * moved) / 4));
          }
          expectClose(`${backendName}, ${name}`, found);
          trainer.close();
          await backend.close();
        });
      }
    });
  });
});
