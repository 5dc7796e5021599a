import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { readTensor } from "#foretoken/autograd/tensor.js";
import type { Backend } from "#foretoken/backend/backend.js";
import type { TrainConfig } from "#foretoken/config/config.js";
import { presets } from "#foretoken/config/presets.js";
import { readSafetensors } from "#foretoken/io/safetensors.js";
import type { ArenaLayout } from "#foretoken/models/arena.js";
import type { ModelConfig } from "#foretoken/models/config.js";
import type { LoraConfig } from "#foretoken/models/lora/config.js";
import { loraModel } from "#foretoken/models/lora/model.js";
import { createModel } from "#foretoken/models/model.js";
import { createTrainer } from "#foretoken/trainer/trainer.js";
import { forEachBackend } from "../support/backends.ts";
import { expectClose, forwardError, furthest, gradientError, largest, type PassSizes } from "../support/closeness.ts";
import { hashUniform } from "../support/hash.ts";
import { differentiate, groupedModel, hashedIds, hashedWeights } from "../support/models.ts";

interface Fixture {
  readonly torch: string;
  readonly peft: string;
  readonly seed: number;
  readonly config: PassSizes &
    Required<Pick<ModelConfig, "nKvHead" | "headDim" | "position">> & { readonly hidden: number };
  readonly lora: LoraConfig;
  readonly batch: number;
  readonly loss: number;
  readonly runs: {
    readonly adamw: {
      readonly plan: Omit<TrainConfig, "seed"> & { readonly tokens: number };
      readonly losses: readonly number[];
      readonly gradNorms: readonly number[];
      readonly learningRates: readonly number[];
    };
  };
}

const fileOf = (name: string): URL => new URL(`../fixtures/${name}`, import.meta.url);
const fixture = JSON.parse(readFileSync(fileOf("lora.json"), "utf8")) as Fixture;
const { tensors } = readSafetensors(readFileSync(fileOf("lora.safetensors")), "lora.safetensors");
const tensor = (name: string): Float32Array => tensors.get(name)?.data ?? new Float32Array(0);

const { config, lora, batch, runs } = fixture;
const { vocabSize, contextLength: time, nEmbd, nHead, nLayer, hidden, nKvHead, headDim, position } = config;
const sizes = { contextLength: time, nEmbd, nHead, nLayer, nKvHead, headDim, position };
const model: ModelConfig = { ...groupedModel, ...sizes, mlp: { kind: "swiglu", hidden } };

/**
 * The adapters of scripts/fixtures/make-lora.py. The values of the adapters are uniform random numbers, and no matrix B
 * is zero.
 */
const hashedAdapter = ({ parameters, length }: ArenaLayout): Float32Array => {
  const values = new Float32Array(length);
  for (const { name, offset, size } of parameters) {
    for (let i = 0; i < size; i++) values[offset + i] = hashUniform(name, i) / 8;
  }
  return values;
};

const withBackend = async (open: () => Promise<Backend>, work: (backend: Backend) => Promise<void>): Promise<void> => {
  const backend = await open();
  try {
    await work(backend);
    expect(backend.bytesInUse()).toBe(0);
  } finally {
    await backend.close();
  }
};

forEachBackend(`LoRA against PEFT ${fixture.peft} and PyTorch ${fixture.torch}`, ({ name: backendName, open }) => {
  it("has its logits, its loss and every element of every gradient", () =>
    withBackend(
      () => open(2),
      async (backend) => {
        const base = createModel(backend, model, vocabSize);
        base.writeWeights(hashedWeights(base.layout), 0);
        const adapted = loraModel(base, lora, 1);
        const { layout, arena } = adapted.adapter;
        backend.write(arena.storage, hashedAdapter(layout));
        adapted.weightsChanged();
        const x = hashedIds("x", batch * time, vocabSize);
        const y = hashedIds("y", batch * time, vocabSize);
        const { loss, logits, gradients } = await differentiate(adapted, x, y, time);
        adapted.close();
        base.close();
        const forward = forwardError(config) * largest(tensor("logits"));
        const backward = gradientError(config, batch * time);
        expect([...gradients.keys()].map((name) => `gradient.${name}`).sort()).toEqual(
          [...tensors.keys()].filter((name) => name.startsWith("gradient.")).sort(),
        );
        expectClose(`${backendName}, gradients`, [
          furthest("loss", [loss], [fixture.loss], forward),
          furthest("logits", logits, tensor("logits"), forward),
          ...[...gradients].map(([name, gradient]) => {
            const expected = tensor(`gradient.${name}`);
            return furthest(name, gradient, expected, backward * largest(expected));
          }),
        ]);
      },
    ));

  it("has its losses, gradient norms and weights in five steps of AdamW", () =>
    withBackend(
      () => open(2),
      async (backend) => {
        const { plan, losses, gradNorms, learningRates } = runs.adamw;
        const { tokens, ...given } = plan;
        const train = { ...presets.book.train, ...given, seed: fixture.seed };
        const text = hashedIds("text", tokens, vocabSize);
        const trainer = createTrainer(backend, { model, lora, train }, vocabSize, text);
        const { base, model: adapted } = trainer;
        if (base === null || adapted.adapter === null) throw new Error("a trainer of adapters has a base");
        base.writeWeights(hashedWeights(base.layout), 0);
        const { layout, arena } = adapted.adapter;
        backend.write(arena.storage, hashedAdapter(layout));
        const results = [];
        for (let step = 0; step < plan.steps; step++) results.push(await trainer.step(step));
        expect(results.map(({ learningRate }) => learningRate)).toEqual(learningRates);

        // The bounds are derived as in small.test.ts.
        const relative = gradientError(config, batch * time * plan.gradAccumSteps);
        const moved = learningRates.reduce((sum, rate) => sum + rate, 0);
        const list = (values: readonly number[], wanted: readonly number[], what: string) =>
          furthest(what, values, wanted, 2 * relative * Math.max(...wanted));
        const found = [
          list(results.map(({ loss }) => loss), losses, "losses"), // biome-ignore format: a line a list
          list(results.map(({ gradNorm }) => gradNorm), gradNorms, "gradient norms"), // biome-ignore format: a line a list
        ];
        for (const { name, offset, shape } of layout.parameters) {
          const values = await readTensor(backend, { storage: arena.storage, offset, shape });
          found.push(furthest(name, values, tensor(`adamw.${name}`), (Math.sqrt(relative) * moved) / 4));
        }
        expectClose(`${backendName}, adamw`, found);
        trainer.close();
      },
    ));
});
