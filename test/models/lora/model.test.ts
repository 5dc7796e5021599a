import { describe, expect, it } from "vitest";
import { backward, dropoutSource, inferenceContext, withContext } from "#foretoken/autograd/context.js";
import { checkGradients, describeCheck } from "#foretoken/autograd/gradcheck.js";
import { readTensor } from "#foretoken/autograd/tensor.js";
import type { Backend } from "#foretoken/backend/backend.js";
import { openReference } from "#foretoken/backend/implementations/reference/reference.js";
import { randomKey } from "#foretoken/core/random.js";
import { epsilon, fromBfloat16, toBfloat16 } from "#foretoken/core/tensors/dtype.js";
import type { ModelConfig } from "#foretoken/models/config.js";
import { crossEntropyLoss, forward, forwardLoss } from "#foretoken/models/forward.js";
import { createGradients } from "#foretoken/models/gradients.js";
import type { LoraConfig } from "#foretoken/models/lora/config.js";
import { mergeAdapter } from "#foretoken/models/lora/merge.js";
import { loraModel } from "#foretoken/models/lora/model.js";
import { canFreeze, createFrozenModel, createModel, type Model } from "#foretoken/models/model.js";
import { forEachBackend } from "../../support/backends.ts";
import { furthest, largest } from "../../support/closeness.ts";
import {
  bookModel,
  differingModel,
  groupedModel,
  hashedIds,
  hashedModel,
  hashedWeights,
} from "../../support/models.ts";
import { growingText } from "../../support/texts.ts";

const vocabSize = 11;
const time = 9;
const llama: ModelConfig = {
  ...groupedModel,
  contextLength: 40,
  nLayer: 2,
  nEmbd: 24,
  mlp: { kind: "swiglu", hidden: 20 },
};
const gpt2: ModelConfig = { ...bookModel, contextLength: 16, nLayer: 2, nHead: 2, nEmbd: 12 };
const differing: ModelConfig = {
  ...differingModel,
  ...{ contextLength: 40, nEmbd: 24, mlp: { kind: "geglu", hidden: 20, approximate: "tanh" }, normPlacement: "both" },
};
const configs = { "of Llama's shape": llama, "of GPT-2's shape": gpt2, "whose layers differ": differing };
const lora: Partial<LoraConfig> = { rank: 3, alpha: 5 };

/** Sets all matrices of an adapter to values other than zero, including the matrices that begin with zeros. */
const fill = ({ adapter, backend, weightsChanged }: Model, seed: number): void => {
  if (adapter === null) throw new Error("a model without adapters");
  const { arena, layout } = adapter;
  const values = Float32Array.from({ length: layout.length }, (_, i) => 0.2 * Math.sin(seed + i * 1.7));
  backend.write(arena.storage, values);
  weightsChanged();
};

const logitsOf = (model: Model, ids: ArrayLike<number>): Promise<Float32Array> =>
  withContext(inferenceContext(model.backend, model.rounded()?.of), async (context) =>
    Float32Array.from(await readTensor(model.backend, forward(context, model, ids, 1, ids.length))),
  );

const bytesOf = async ({ backend, arena }: Model) => backend.read(arena.storage);
const ids = hashedIds("x", time, vocabSize);

describe.each(Object.entries(configs))("a model with adapters, %s", (_, config) => {
  forEachBackend("computes", ({ name, open }) => {
    const withModels = async (work: (base: Model, model: Model, backend: Backend) => Promise<void>): Promise<void> => {
      const backend = await open(2);
      try {
        const base = hashedModel(backend, config, vocabSize);
        const model = loraModel(base, lora, 7);
        await work(base, model, backend);
        model.close();
        base.close();
        expect(backend.bytesInUse()).toBe(0);
      } finally {
        await backend.close();
      }
    };

    it("what its base computes, before it is trained", () =>
      withModels(async (base, model) => {
        const { adapter } = model;
        const values = adapter === null ? [] : await model.backend.read(adapter.arena.storage);
        const places = new Map(adapter?.layout.parameters.map((one) => [one.name, one]));
        const a = places.get("blocks.1.mlp.down.loraA");
        const inA = values.slice(a?.offset, (a?.offset ?? 0) + (a?.size ?? 0)) as Float32Array;
        const bound = 1 / Math.sqrt(a?.shape[1] ?? 0);
        expect(largest(inA)).toBeLessThanOrEqual(bound);
        expect(largest(inA)).toBeGreaterThan(0.8 * bound);
        const [adapted, plain] = [await logitsOf(model, ids), await logitsOf(base, ids)];
        if (name !== "reference" || config === llama) expect(adapted).toEqual(plain);
        // The reference computes GELU and the product together in double precision. In separate calls, the product is
        // rounded once more.
        const { ratio, message } = furthest("logits", adapted, plain, 8 * epsilon.float32 * largest(plain));
        expect(ratio, message).toBeLessThanOrEqual(1);
      }));

    it("as a whole model with the same weights does, after a merge", () =>
      withModels(async (base, model) => {
        const before = await logitsOf(base, ids);
        fill(model, 1);
        const adapted = await logitsOf(model, ids);
        await mergeAdapter(model);
        const merged = await logitsOf(base, ids);
        // Error of a sum of n products that are added in two different orders. The adapter of a layer adds one more
        // sum.
        const terms = 2 * (config.nLayer * 12 * config.nEmbd + config.nEmbd);
        const tolerance = epsilon.float32 * Math.sqrt(terms) * largest(adapted);
        const { ratio, message } = furthest("logits", merged, adapted, tolerance);
        expect(ratio, message).toBeLessThanOrEqual(1);
        // The adapters change the result.
        expect(furthest("logits", before, adapted, 1e-3).ratio).toBeGreaterThan(1);
      }));

    it("as another adapter on the same weights, and by cached steps as without a cache, to the bit", () =>
      withModels(async (base, model, backend) => {
        const other = loraModel(base, { ...lora, targets: ["value", "up"] }, 8);
        const weights = await bytesOf(base);
        const held = backend.bytesInUse();
        fill(model, 1);
        fill(other, 2);
        expect(backend.bytesInUse()).toBe(held);
        const [first, second] = [await logitsOf(model, ids), await logitsOf(other, ids)];
        expect(first).not.toEqual(second);
        for (const [one, logits] of [
          [model, first],
          [other, second],
          [model, first],
        ] as const) {
          const text = growingText(one, time);
          for (let length = 1; length <= time; length++) {
            const next = await text.next([...ids.subarray(0, length)]);
            expect(next).toEqual(logits.subarray((length - 1) * vocabSize, length * vocabSize));
          }
          text.close();
        }
        expect(await bytesOf(base)).toEqual(weights);
        // Changed values have an immediate effect.
        fill(model, 2);
        expect(await logitsOf(model, ids)).not.toEqual(first);
        other.close();
      }));

    it("with gradients of its adapters alone, and the weights of its base as they were", () =>
      withModels(async (base, model, backend) => {
        fill(model, 3);
        const weights = await bytesOf(base);
        const before = backend.bytesInUse();
        const gradients = createGradients(model);
        expect(backend.bytesInUse() - before).toBeLessThan(4 * (model.adapter?.layout.length ?? 0) + 4096);
        expect([...gradients.arena.tensors.keys()]).toEqual(model.adapter?.layout.parameters.map((one) => one.name));
        const both: Float32Array[] = [];
        for (let pass = 1; pass <= 2; pass++) {
          await gradients.record((context) =>
            backward(context, forwardLoss(context, model, ids, hashedIds("y", time, vocabSize), 1, time)),
          );
          both.push(Float32Array.from(await backend.read(gradients.arena.storage)));
        }
        gradients.close();
        const [once = new Float32Array(), twice = new Float32Array()] = both;
        expect(largest(once)).toBeGreaterThan(0);
        // `backward` adds.
        expect(twice).toEqual(once.map((value) => 2 * value));
        expect(await bytesOf(base)).toEqual(weights);
      }));

    if (name !== "reference") {
      it("beside bfloat16 weights alone as beside float32 ones with the same values, to the bit", async () => {
        const backend = await open(2, "bfloat16");
        if (canFreeze(backend)) {
          const exact = createModel(backend, config, vocabSize);
          const frozen = createFrozenModel(backend, config, vocabSize);
          const values = hashedWeights(exact.layout);
          frozen.writeWeights(values, 0);
          values.set(fromBfloat16(toBfloat16(values.subarray(0, exact.layout.decayed))));
          exact.writeWeights(values, 0);
          const models = [exact, frozen].map((base) => loraModel(base, { ...lora, dropout: 0.25 }, 7));
          const found: unknown[] = [];
          for (const model of models) {
            fill(model, 1);
            const gradients = createGradients(model);
            await gradients.record(
              (context) =>
                backward(context, forwardLoss(context, model, ids, hashedIds("y", time, vocabSize), 1, time)),
              dropoutSource(randomKey(1, "dropout")),
              model.rounded()?.of,
            );
            found.push([await logitsOf(model, ids), await backend.read(gradients.arena.storage)]);
            gradients.close();
          }
          expect(found[0]).toEqual(found[1]);
          for (const model of [...models, exact, frozen]) model.close();
          expect(backend.bytesInUse()).toBe(0);
        }
        await backend.close();
      });
    }
  });

  it.each<[string, Partial<LoraConfig>]>([
    ["all layers, with dropout", { rank: 2, alpha: 3, dropout: 0.3 }],
    ["two layers", { rank: 1, alpha: 1, targets: ["key", "down"] }],
  ])("has the gradients of finite differences for %s", async (_title, given) => {
    const backend = await openReference({ real: "float64" });
    const small = { ...config, nLayer: 1, nEmbd: 4, nHead: 2, contextLength: 8 };
    const shape: ModelConfig = "nKvHead" in config ? { ...small, nKvHead: 1, headDim: 4 } : small;
    const base = createModel(backend, shape, 5, "float64");
    const { length } = base.layout;
    backend.write(
      base.arena.storage,
      Float64Array.from({ length }, (_v, i) => 0.4 * Math.cos(i * 1.3)),
    );
    const model = loraModel(base, given, 1);
    const { adapter, parameters } = model;
    if (adapter === null) throw new Error("a model without adapters");
    const x = [1, 4, 0];
    const names = adapter.leaves.map((_leaf, i) => `leaf ${i}`);
    const { layout, arena } = adapter;
    const values = Float64Array.from({ length: layout.length }, (_v, i) => 0.3 * Math.sin(1 + i * 1.1));
    // The gradient check changes its own inputs. So the inputs are written to the adapter before each pass.
    const result = await checkGradients(
      backend,
      Object.fromEntries(
        adapter.leaves.map(({ offset, shape: leaf }, i) => {
          const size = leaf.reduce((product, n) => product * n, 1);
          return [names[i] as string, { data: values.slice(offset, offset + size), shape: leaf }];
        }),
      ),
      (context, inputs) => {
        for (const [i, leaf] of adapter.leaves.entries()) {
          const input = inputs[names[i] as string];
          if (input === undefined) throw new Error("an input is missing");
          const n = input.shape.reduce((product, size) => product * size, 1);
          backend.run("copyRows", { x: input, y: leaf, rows: 1, width: n, xStride: n, yStride: n });
          // The op passes the gradients to its input.
          context.tape?.record(leaf, [input], [], (dy) => context.tape?.accumulate(input, context.memory.retain(dy)));
        }
        arena.changes.count++;
        const dropping = { ...context, dropout: dropoutSource(randomKey(1, "dropout")) };
        const logits = forward(dropping, { ...model, parameters }, x, 1, x.length);
        return crossEntropyLoss(dropping, logits, Int32Array.of(4, 0, 2));
      },
      () => 1,
    );
    expect(result.wrong, describeCheck(result)).toBe(0);
    expect(result.elements).toBeGreaterThan(10);
    model.close();
    base.close();
    await backend.close();
  });
});

describe("what cannot be", () => {
  it("is refused in one line", async () => {
    const backend = await openReference();
    const base = hashedModel(backend, llama, vocabSize);
    const model = loraModel(base, lora, 1);
    expect(() => loraModel(model, lora, 1)).toThrow(
      "lora: the base model must have no adapters; got a model with adapters; try the base model that these adapters were made for",
    );
    expect(() => loraModel(base, { rank: 0 }, 1)).toThrow("lora.rank: must be above 0; got 0");
    expect(() => loraModel(base, { targets: [] }, 1)).toThrow("lora.targets: must be at least 1");
    expect(() => loraModel(base, lora, -1)).toThrow("loraModel: seed: must be a whole number from 0; got -1");
    await expect(mergeAdapter(base)).rejects.toThrow("mergeAdapter: model: the model must have adapters; got none");
    const other = hashedModel(backend, gpt2, vocabSize);
    const held = backend.bytesInUse();
    expect(() => loraModel(other, { targets: ["gate"] }, 1)).toThrow("lora.targets: must be layers of the model");
    expect(backend.bytesInUse()).toBe(held);
    other.close();
    model.close();
    base.close();
    await backend.close();
  });
});
