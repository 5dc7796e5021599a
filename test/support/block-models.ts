import type { Backend } from "#foretoken/backend/backend.js";
import { blockForms, fileWords } from "#foretoken/backend/kernels/block-forms.js";
import { encodings } from "#foretoken/io/gguf/encodings.js";
import type { ModelConfig } from "#foretoken/models/config.js";
import { type BlockModel, createBlockModel, modelLayout } from "#foretoken/models/model.js";
import { fileRows } from "../conformance/samples/blocks.ts";
import { hashWord } from "./hash.ts";
import { hashedWeights, qwen3Model } from "./models.ts";

/** A small model. Quantization blocks divide all its matrices evenly. */
export const blockConfig = (form: number, contextLength = 150): ModelConfig => {
  const nEmbd = blockForms[form]?.fileValues === 256 ? 256 : 64;
  return {
    ...{ ...qwen3Model, contextLength, nEmbd, nHead: 4, nKvHead: 2, headDim: nEmbd / 4, nLayer: 2 },
    mlp: { kind: "swiglu", hidden: nEmbd === 256 ? 256 : 96 },
  };
};

/** A small model with random blocks in all matrices, and pseudo-random vectors. */
export const hashedBlockModel = (
  backend: Backend,
  form: number,
  config: ModelConfig,
  vocabSize: number,
): { readonly model: BlockModel; readonly widen: (write: (values: Float32Array, offset: number) => void) => void } => {
  const layout = modelLayout(config, vocabSize);
  const values = hashedWeights(layout);
  const matrices = layout.parameters.filter(({ shape }) => shape.length === 2);
  const rows = matrices.map(({ offset, shape: [rows = 0] }) => ({ offset, rows, form }));
  const model = createBlockModel(backend, config, vocabSize, rows);
  for (const { offset, size, shape } of layout.parameters)
    if (shape.length < 2) model.writeWeights(values.subarray(offset, offset + size), offset);
  const files = matrices.map(({ name, offset, shape: [n = 0, k = 0] }) => {
    const random = Int32Array.from({ length: fileWords(form, n, k) }, (_, i) => hashWord(name, i));
    const words = fileRows(form, n, k, false, random);
    const { fileValues, fileBytes } = blockForms[form] as (typeof blockForms)[number];
    return { offset, bytes: new Uint8Array(words.buffer, 0, ((n * k) / fileValues) * fileBytes) };
  });
  for (const { offset, bytes } of files) model.blocks.writeBlocks(bytes, offset);
  return {
    model,
    widen(write) {
      for (const { offset, size, shape } of layout.parameters)
        if (shape.length < 2) write(values.subarray(offset, offset + size), offset);
      for (const { offset, bytes } of files) {
        const encoding = [...encodings.values()].find(({ name }) => name === blockForms[form]?.name);
        const wide = encoding?.widen(bytes);
        if (wide !== undefined) write(wide, offset);
      }
    },
  };
};
