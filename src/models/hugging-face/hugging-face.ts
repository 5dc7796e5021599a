/** A model's weights as the tensors of a Hugging Face checkpoint; place-tensors.ts goes the way back. */
import { ConfigError } from "../../core/errors/errors.ts";
import type { LazyTensor } from "../../core/tensors/named-tensor.ts";
import type { ArenaLayout, Placed, ReadValues } from "../arena.ts";
import type { ModelConfig } from "../config.ts";
import type { Architecture, TensorMapping } from "./architecture.ts";
import { gpt2, isGpt2 } from "./gpt2.ts";
import { isLlamaFamily, llamaFamily } from "./llama-family.ts";

const known =
  "GPT-2's (learned positions, layernorm, gelu), Llama's or Qwen2's (rope, rmsnorm, swiglu), Qwen3's (with qkNorm) or Phi3's (with fraction)";

/**
 * The class of `transformers` that holds such a model.
 * @throws ConfigError where there is none, so that a checkpoint could not be written.
 */
export const architectureOf = (config: ModelConfig, where = "model"): Architecture => {
  if (config.mask !== "causal") {
    throw new ConfigError({
      where: `${where}.mask`,
      must: "must be causal for a model that is saved",
      got: config.mask,
    });
  }
  if (isGpt2(config)) return gpt2(config);
  if (isLlamaFamily(config)) return llamaFamily(config);
  const { position, norm, mlp, bias, qkNorm, nHead, nKvHead = nHead, headDim } = config;
  const biases = bias.qkv || bias.projection || bias.mlp ? "biases" : "no biases";
  const partly = position.kind === "rope" && (position.fraction ?? 1) !== 1;
  const heads = [
    ...(partly ? ["fraction"] : []),
    ...(partly && position.scaling !== undefined && position.scaling.kind !== "none" ? [position.scaling.kind] : []),
    ...(nKvHead === nHead ? [] : ["nKvHead"]),
    ...(headDim === undefined ? [] : ["headDim"]),
  ];
  throw new ConfigError({
    where,
    must: `must have the shape of an architecture that checkpoints are written for: ${known}`,
    got: [position.kind, ...heads, ...(qkNorm ? ["qkNorm"] : []), norm.kind, mlp.kind, biases].join(", "),
  });
};

/** Rows and columns that are transposed together: their cache lines stay in the cache. */
const tile = 32;

/** [rows, columns] → [columns, rows] */
export const transpose = (data: Float32Array, rows: number, columns: number): Float32Array => {
  const out = new Float32Array(data.length);
  for (let top = 0; top < rows; top += tile) {
    const bottom = Math.min(rows, top + tile);
    for (let left = 0; left < columns; left += tile) {
      const right = Math.min(columns, left + tile);
      for (let c = left; c < right; c++) {
        for (let r = top; r < bottom; r++) out[c * rows + r] = data[r * columns + c] as number;
      }
    }
  }
  return out;
};

export const byName = (layout: ArenaLayout): ReadonlyMap<string, Placed> =>
  new Map(layout.parameters.map((parameter) => [parameter.name, parameter]));

/** Where a mapped tensor lies in the arena, and its shape there; undefined for one that our model lacks. */
export const placeOf = (parameters: ReadonlyMap<string, Placed>, { ours, part, absent }: TensorMapping) => {
  const parameter = parameters.get(ours);
  if (parameter === undefined) {
    if (absent === undefined) throw new Error(`${ours} was not laid out`);
    return undefined;
  }
  const [all = 1, ...others] = parameter.shape;
  const { first, rows } = part ?? { first: 0, rows: all };
  const width = parameter.size / all;
  return { offset: parameter.offset + first * width, size: rows * width, shape: [rows, ...others] };
};

/** The tensors of `model.safetensors`, from the arena's values. */
export const toHuggingFace = (
  config: ModelConfig,
  layout: ArenaLayout,
  readValues: ReadValues,
): readonly LazyTensor[] => {
  const parameters = byName(layout);
  return architectureOf(config).mappings.map((mapping) => {
    const { theirs: name, transposed, absent = 0 } = mapping;
    const place = placeOf(parameters, mapping);
    if (place === undefined) return { name, shape: [absent], read: async () => new Float32Array(absent) };
    const { shape, offset, size } = place;
    if (transposed !== true) return { name, shape, read: () => readValues(offset, size) };
    const [rows = 0, columns = 0] = shape;
    return {
      name,
      shape: [columns, rows],
      read: async () => transpose(await readValues(offset, size), rows, columns),
    };
  });
};
