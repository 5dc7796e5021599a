/** A model's weights as the tensors of a Hugging Face checkpoint, and back. */
import { CheckpointError, ConfigError } from "../../core/errors.ts";
import type { LazyTensor, NamedTensor } from "../../core/named-tensor.ts";
import { formatShape, type Shape } from "../../core/shape.ts";
import { show } from "../../core/show.ts";
import type { ArenaLayout, Placed, ReadValues } from "../arena.ts";
import type { ModelConfig } from "../config.ts";
import type { Architecture, TensorMapping } from "./architecture.ts";
import { gpt2, isGpt2 } from "./gpt2.ts";
import { isLlamaFamily, llamaFamily } from "./llama-family.ts";

const known =
  "GPT-2's (learned positions, layernorm, gelu), Llama's (rope, rmsnorm, swiglu, no biases), Qwen3's (with qkNorm) or Phi3's (with fraction)";

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

/** [rows, columns] → [columns, rows] */
const transpose = (data: Float32Array, rows: number, columns: number): Float32Array => {
  const out = new Float32Array(data.length);
  for (let r = 0; r < rows; r++) {
    for (let c = 0; c < columns; c++) out[c * rows + r] = data[r * columns + c] as number;
  }
  return out;
};

const byName = (layout: ArenaLayout): ReadonlyMap<string, Placed> =>
  new Map(layout.parameters.map((parameter) => [parameter.name, parameter]));

/** Where a mapped tensor lies in the arena, and its shape there; undefined for one that our model lacks. */
const placeOf = (parameters: ReadonlyMap<string, Placed>, { ours, part, absent }: TensorMapping) => {
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

/** Index of the first number that is not finite, or -1. A loop: with findIndex a start spends most of its time here. */
const findUnreal = (data: ArrayLike<number>): number => {
  for (let i = 0; i < data.length; i++) if (!Number.isFinite(data[i])) return i;
  return -1;
};

const checkTensor = (tensor: NamedTensor | undefined, name: string, shape: Shape, where: string): NamedTensor => {
  if (tensor === undefined) {
    throw new CheckpointError({ where, must: `the file must hold ${name}`, got: "no such tensor" });
  }
  if (formatShape(tensor.shape) !== formatShape(shape)) {
    throw new CheckpointError({
      where,
      must: `${name} must have shape ${formatShape(shape)}`,
      got: formatShape(tensor.shape),
    });
  }
  const bad = findUnreal(tensor.data);
  if (bad !== -1) {
    throw new CheckpointError({
      where,
      must: `${name} must hold finite numbers`,
      got: `${tensor.data[bad]} at ${bad}`,
    });
  }
  return tensor;
};

/**
 * The arena's values from the tensors of a `model.safetensors`.
 * @throws CheckpointError for a missing or superfluous tensor, a wrong shape, a number that is not finite, or a bias that
 * our model does not have.
 */
export const fromHuggingFace = (
  config: ModelConfig,
  layout: ArenaLayout,
  tensors: ReadonlyMap<string, NamedTensor>,
  where: string,
): Float32Array => {
  const parameters = byName(layout);
  const { mappings } = architectureOf(config);
  const names = new Set(mappings.map(({ theirs }) => theirs));
  for (const name of tensors.keys()) {
    if (!names.has(name)) {
      throw new CheckpointError({ where, must: "every tensor must belong to the model", got: show(name) });
    }
  }
  const placements: ((values: Float32Array) => void)[] = [];
  for (const mapping of mappings) {
    const { theirs, transposed, absent = 0 } = mapping;
    const place = placeOf(parameters, mapping);
    const ours = place?.shape ?? [absent];
    const { data } = checkTensor(tensors.get(theirs), theirs, transposed === true ? ours.toReversed() : ours, where);
    if (place === undefined) {
      if (data.some((value) => value !== 0)) {
        throw new CheckpointError({ where, must: `${theirs} must be zero: config.json says there is no such bias` });
      }
      continue;
    }
    const [rows = 0, columns = 0] = place.shape;
    placements.push((values) => values.set(transposed === true ? transpose(data, columns, rows) : data, place.offset));
  }
  // Only now: a forged config can claim any size, tensors that are there cannot.
  const values = new Float32Array(layout.length);
  for (const place of placements) place(values);
  return values;
};
