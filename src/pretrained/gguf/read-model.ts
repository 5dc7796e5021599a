/** Reads the model that a GGUF file describes: the architecture, the configuration, and the place of each tensor. */
import { CheckpointError } from "../../core/errors/errors.ts";
import type { StoredTensor } from "../../core/tensors/named-tensor.ts";
import { alternatives } from "../../core/text/alternatives.ts";
import { show } from "../../core/text/show.ts";
import type { GgufMetadata } from "../../io/gguf/header.ts";
import type { GgufForm, TensorMapping } from "../../models/architectures/architecture.ts";
import { frequencyFactors } from "../../models/architectures/common/gguf-rope.ts";
import type { Fields } from "../../models/architectures/common/gguf-values.ts";
import { architectures } from "../../models/architectures/list.ts";
import { type ModelConfig, modelConfigSchema, rotaryDimOf } from "../../models/config.ts";
import { checkJson } from "../files/checkpoint-json.ts";
import { fieldsOf } from "./fields.ts";

/** A model as described by a file. */
export interface GgufModel {
  readonly config: ModelConfig;
  /** Rows of the embedding. */
  readonly vocabSize: number;
  /** Mapping of each tensor in the file, by name. Null for a tensor that is not a weight. */
  readonly mappings: ReadonlyMap<string, TensorMapping | null>;
  /**
   * Number of channels per head that llama.cpp rotates in neighbouring pairs. 0 if llama.cpp rotates halves, like
   * Foretoken.
   */
  readonly interleaved: number;
}

/**
 * Keys without the architecture prefix that are allowed for every architecture. Each of these keys is read, or does not
 * change results.
 */
const commonKeys = [
  ...["vocab_size", "context_length", "embedding_length", "block_count", "feed_forward_length"],
  ...["attention.head_count", "attention.head_count_kv", "attention.key_length", "attention.value_length"],
  ...["attention.layer_norm_epsilon", "attention.layer_norm_rms_epsilon"],
  ...["attention.causal", "use_parallel_residual", "tensor_data_layout", "expert_count", "expert_used_count"],
  ...["rope.dimension_count", "rope.freq_base", "rope.scale_linear", "rope.scaling.type", "rope.scaling.factor"],
  ...["rope.scaling.attn_factor", "rope.scaling.original_context_length", "rope.scaling.finetuned"],
];

/** Throws for a setting that Foretoken does not support and that would change results. */
const checkSettings = (metadata: GgufMetadata, fields: Fields, { name, keys }: GgufForm): void => {
  const prefix = `${name}.`;
  const known = new Set([...commonKeys, ...keys]);
  for (const [key, value] of metadata) {
    if (key.startsWith(prefix) && !known.has(key.slice(prefix.length))) {
      fields.fail(key, "must be absent: it is not supported and may change results", value);
    }
  }
  if (!(fields.flag(`${name}.attention.causal`) ?? true))
    fields.fail(`${name}.attention.causal`, "must be true", false);
  if (fields.flag(`${name}.use_parallel_residual`) ?? false) {
    fields.fail(`${name}.use_parallel_residual`, "must be false", true);
  }
  const experts = metadata.get(`${name}.expert_count`) ?? 0;
  if (experts !== 0) fields.fail(`${name}.expert_count`, "must be 0: mixtures of experts are not supported", experts);
};

/** @throws CheckpointError if a tensor is missing or unexpected. */
const checkNames = (
  mappings: ReadonlyMap<string, TensorMapping>,
  tensors: ReadonlyMap<string, StoredTensor>,
  isRotary: boolean,
  where: string,
): void => {
  for (const name of mappings.keys()) {
    if (!tensors.has(name))
      throw new CheckpointError({ where, must: `the file must hold ${name}`, got: "no such tensor" });
  }
  for (const name of tensors.keys()) {
    if (mappings.has(name) || (isRotary && name === frequencyFactors)) continue;
    throw new CheckpointError({ where, must: "every tensor must belong to the model", got: show(name) });
  }
};

const formOf = (metadata: GgufMetadata, fields: Fields): GgufForm => {
  const type = fields.text("general.type") ?? "model";
  if (type !== "model") fields.fail("general.type", "must be model", type);
  const parts = metadata.get("split.count") ?? 0;
  if (parts !== 0 && parts !== 1) {
    fields.fail("split.count", "must be 1: join the parts of a split file first (llama-gguf-split --merge)", parts);
  }
  const name = fields.text("general.architecture");
  const forms = architectures.flatMap(({ gguf }) => (gguf === null ? [] : [gguf]));
  const names = alternatives(forms.map((form) => form.name));
  return forms.find((form) => form.name === name) ?? fields.fail("general.architecture", `must be ${names}`, name);
};

/** Number of channels per head that llama.cpp rotates in neighbouring pairs. 0 if llama.cpp rotates halves. */
export const interleavedOf = ({ interleaved }: GgufForm, config: ModelConfig): number =>
  interleaved && config.position.kind === "rope" ? rotaryDimOf(config, config.position) : 0;

/**
 * Reads the model of a GGUF file from its metadata.
 * @param list the file's tensors. The function reads the data of only one tensor, Llama 3's frequency factors.
 * @throws CheckpointError with the field or tensor that is missing, wrong or not supported.
 */
export const readGgufModel = async (
  metadata: GgufMetadata,
  list: readonly StoredTensor[],
  where: string,
): Promise<GgufModel> => {
  const fields = fieldsOf(metadata, where);
  const form = formOf(metadata, fields);
  const at = (key: string): string => `${form.name}.${key}`;
  checkSettings(metadata, fields, form);
  const tensors = new Map(list.map((tensor) => [tensor.name, tensor]));
  const [vocabSize = 0] = tensors.get("token_embd.weight")?.shape ?? [];
  const declared = fields.count(at("vocab_size")) ?? vocabSize;
  if (declared !== vocabSize) {
    fields.fail(at("vocab_size"), `must be the number of rows of token_embd.weight, ${vocabSize}`, declared);
  }
  const raw = await form.read({ fields, at, tensors, where });
  const config: ModelConfig = checkJson(modelConfigSchema, raw, where);
  const mappings = new Map(form.mappings(config).map((mapping) => [mapping.theirs, mapping]));
  checkNames(mappings, tensors, config.position.kind === "rope", where);
  return {
    ...{ config, vocabSize },
    mappings: new Map([...tensors.keys()].map((name) => [name, mappings.get(name) ?? null])),
    interleaved: interleavedOf(form, config),
  };
};
