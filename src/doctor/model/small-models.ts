/**
 * Small models that together contain every kind of layer. Sizes are odd, so that only the head dimension can fill a
 * vector.
 */
import { inferenceContext, withContext } from "../../autograd/context.ts";
import { readTensor } from "../../autograd/tensor.ts";
import type { Backend } from "../../backend/backend.ts";
import { presets } from "../../config/presets.ts";
import { randomKey, randomStream } from "../../core/random.ts";
import type { ModelConfig } from "../../models/config.ts";
import { forward } from "../../models/forward.ts";
import { createModel, type Model } from "../../models/model.ts";

/** Vocabulary size of the small models. */
export const vocabSize = 29;

/** A model's configuration, with its name in reports. */
export interface Shape {
  readonly name: string;
  readonly config: ModelConfig;
}

export const shapes: readonly Shape[] = [
  {
    name: "GPT-2's shape",
    config: { ...presets.book.model, contextLength: 41, nLayer: 2, nEmbd: 24, nHead: 3, dropout: 0 },
  },
  {
    name: "Qwen3's shape",
    config: {
      ...presets.shakespeare.model,
      ...{ contextLength: 41, nLayer: 2, nEmbd: 24, nHead: 4, nKvHead: 2, headDim: 10, dropout: 0 },
      mlp: { kind: "swiglu", hidden: 35 },
    },
  },
  {
    name: "Gemma 3's shape",
    config: {
      ...presets.shakespeare.model,
      ...{ contextLength: 41, nLayer: 2, nEmbd: 24, nHead: 4, nKvHead: 1, headDim: 10, dropout: 0 },
      ...{
        window: { size: 9, fullEvery: 2, theta: 50 },
        attentionScale: 0.4,
        embeddingScale: 4.9,
        normPlacement: "both",
      },
      mlp: { kind: "geglu", hidden: 35, approximate: "tanh" },
    },
  },
];

const uniform = (name: number): (() => number) => {
  const stream = randomStream(randomKey(name, "init"));
  return () => 2 * stream.uniform() - 1;
};

/** Creates a model with weights that are all different and not zero. The caller closes the model. */
export const smallModel = (backend: Backend, { config }: Shape): Model => {
  const real = backend.capabilities.real[0] ?? "float32";
  const model = createModel(backend, config, vocabSize, real);
  const values = new Float32Array(model.layout.length);
  const draw = uniform(1);
  for (const { name, shape, offset, size } of model.layout.parameters) {
    const isNorm = shape.length === 1 && name.endsWith("orm.weight");
    for (let i = 0; i < size; i++)
      values[offset + i] = isNorm ? 1 + draw() / 8 : draw() / (shape.length === 2 ? 4 : 16);
  }
  backend.write(model.arena.storage, real === "float64" ? Float64Array.from(values) : values);
  model.weightsChanged();
  return model;
};

/** Random token ids that are the same on every machine. */
export const tokens = (length: number, seed: number): Int32Array => {
  const stream = randomStream(randomKey(seed, "batches"));
  return Int32Array.from({ length }, () => stream.integer(vocabSize));
};

/** Logits [T · V] of a text, from one forward pass without a KV cache. */
export const logitsOf = (model: Model, ids: Int32Array): Promise<Float32Array> =>
  withContext(inferenceContext(model.backend), async (context) =>
    Float32Array.from(await readTensor(model.backend, forward(context, model, ids, 1, ids.length))),
  );

/** Index of the first element with different bits, or −1 if all bits are equal. */
export const firstDifference = (a: Float32Array, b: Float32Array): number => {
  if (a.length !== b.length) return Math.min(a.length, b.length);
  const words = new Uint32Array(b.buffer, b.byteOffset, b.length);
  return new Uint32Array(a.buffer, a.byteOffset, a.length).findIndex((word, i) => word !== words[i]);
};
