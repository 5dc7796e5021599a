import type { Tensor } from "../autograd/tensor.ts";
import { sizeOf } from "../core/shape.ts";
import type { Model } from "./model.ts";
import { declareTransformer, type TransformerTensors } from "./transformer.ts";

/** A model's weights for forward passes alone. */
export interface InferenceWeights {
  readonly parameters: TransformerTensors;
  close(): void;
}

/** In elements, so that a weight begins on a cache line. */
const alignment = 32;

/**
 * The weights as they are now. Where products are multiplied from bfloat16, those of linear layers are copies in it: half the
 * bytes to read for each token, and the same results to the bit. Elsewhere they are the model's own.
 */
export const inferenceWeights = ({ backend, config, vocabSize, arena, parameters }: Model): InferenceWeights => {
  const { activations } = backend.capabilities;
  if (activations !== "bfloat16") return { parameters, close() {} };
  const roomFor = (tensor: Tensor): number => Math.ceil(sizeOf(tensor.shape) / alignment) * alignment;
  let length = 0;
  for (const tensor of arena.tensors.values()) length += roomFor(tensor);
  const storage = backend.alloc(activations, length);
  let offset = 0;
  const copied = (tensor: Tensor): Tensor => {
    const n = sizeOf(tensor.shape);
    const copy = { storage, offset, shape: tensor.shape };
    backend.run("copyRows", { x: tensor, y: copy, rows: 1, width: n, xStride: n, yStride: n });
    offset += roomFor(tensor);
    return copy;
  };
  const declared = declareTransformer(
    ({ name, stacked }) => {
      const tensor = arena.tensors.get(name);
      if (tensor === undefined) throw new Error(`parameter ${name} was not laid out`);
      return stacked !== undefined || name === "head.weight" ? copied(tensor) : tensor;
    },
    config,
    vocabSize,
  );
  const head = config.tieEmbeddings ? { weight: copied(declared.tokens), bias: null } : declared.head;
  return { parameters: { ...declared, head, angles: parameters.angles }, close: () => backend.free(storage) };
};
