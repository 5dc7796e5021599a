import { backward } from "#foretoken/autograd/context.js";
import { readScalar, readTensor } from "#foretoken/autograd/tensor.js";
import type { Backend } from "#foretoken/backend/backend.js";
import { presets } from "#foretoken/config/presets.js";
import type { ArenaLayout } from "#foretoken/models/arena.js";
import type { ModelConfig } from "#foretoken/models/config.js";
import { crossEntropyLoss, forward } from "#foretoken/models/forward.js";
import { createGradients } from "#foretoken/models/gradients.js";
import { createModel, type Model } from "#foretoken/models/model.js";
import { hashInteger, hashUniform } from "./hash.ts";

/** The reference model without dropout. Tests make it smaller. */
export const bookModel: ModelConfig = { ...presets.book.model, dropout: 0 };

/** A Qwen3-like model without dropout, with a separate output head. Tests make it smaller. */
export const qwen3Model: ModelConfig = { ...presets.shakespeare.model, dropout: 0, tieEmbeddings: false };

/**
 * A Llama-like model with grouped queries, a headDim that is not nEmbd / nHead, and scaled wavelengths. Tests make it
 * smaller.
 */
export const groupedModel: ModelConfig = {
  ...qwen3Model,
  qkNorm: false,
  nHead: 4,
  nKvHead: 2,
  headDim: 10,
  position: {
    ...{ kind: "rope", theta: 100 },
    scaling: { kind: "llama3", factor: 4, lowFrequency: 1, highFrequency: 4, originalContext: 32 },
  },
};

/**
 * A model in which the layers differ. Tests make it smaller. Two of three layers have a window, with a separate base of
 * wavelengths. One layer has no rotation. Norms come after the branches, and one norm covers all heads.
 */
export const differingModel: ModelConfig = {
  ...groupedModel,
  nLayer: 3,
  position: { kind: "rope", theta: 1000, noneEvery: 2 },
  window: { size: 7, fullEvery: 3, theta: 50 },
  qkNorm: true,
  qkNormWidth: "all",
  normPlacement: "after",
};

/**
 * A model with GEGLU, scaled token vectors, an attention scale, and norms before and after the branches. Tests make it
 * smaller.
 */
export const sandwichModel: ModelConfig = {
  ...qwen3Model,
  nLayer: 2,
  window: { size: 33, fullEvery: 2 },
  attentionScale: 0.3,
  embeddingScale: 4.5,
  normPlacement: "both",
  mlp: { kind: "geglu", hidden: 344, approximate: "tanh" },
  tieEmbeddings: true,
};

/**
 * The weights of scripts/fixtures/make-gpt2.py. The weights are uniform random numbers: around 1 for the weights of
 * norms, and around 0 for all other weights. No bias is exactly 0.
 */
export const hashedWeights = ({ parameters, length }: ArenaLayout): Float32Array => {
  const values = new Float32Array(length);
  for (const { name, shape, offset, size } of parameters) {
    const isNorm = shape.length === 1 && name.endsWith("orm.weight");
    for (let i = 0; i < size; i++) {
      const u = hashUniform(name, i);
      values[offset + i] = isNorm ? 1 + u / 8 : u / (shape.length === 2 ? 8 : 16);
    }
  }
  return values;
};

/** A model with the fixtures' weights. */
export const hashedModel = (backend: Backend, config: ModelConfig, vocabSize: number): Model => {
  const model = createModel(backend, config, vocabSize);
  backend.write(model.arena.storage, hashedWeights(model.layout));
  return model;
};

/** `length` token ids from the stream `name`. */
export const hashedIds = (name: string, length: number, vocabSize: number): Int32Array =>
  Int32Array.from({ length }, (_, i) => hashInteger(name, i, vocabSize));

export interface Differentiated {
  /** Mean loss in nats per token. */
  readonly loss: number;
  /** [B · T, V] */
  readonly logits: Float32Array;
  readonly gradients: ReadonlyMap<string, Float32Array>;
}

/** Loss, logits, and all gradients of the mean loss, without dropout. The rows have `time` tokens. */
export const differentiate = async (
  model: Model,
  x: Int32Array,
  y: Int32Array,
  time: number,
): Promise<Differentiated> => {
  const { backend } = model;
  const gradients = createGradients(model);
  const readValues = async (tensor: Parameters<typeof readTensor>[1]): Promise<Float32Array> =>
    Float32Array.from(await readTensor(backend, tensor));
  const result = await gradients.record(async (context) => {
    const logits = forward(context, model, x, x.length / time, time);
    const total = crossEntropyLoss(context, logits, y);
    const before = { logits: await readValues(logits), loss: (await readScalar(backend, total)) / x.length };
    backward(context, total, 1 / x.length);
    const byName = new Map<string, Float32Array>();
    for (const [name, gradient] of gradients.arena.tensors) byName.set(name, await readValues(gradient));
    return { ...before, gradients: byName };
  });
  gradients.close();
  return result;
};
