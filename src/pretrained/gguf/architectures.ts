/** Architectures of GGUF files: their fields as a configuration, and their tensors' places in a model. */

import { CheckpointError } from "../../core/errors/errors.ts";
import type { StoredTensor } from "../../core/tensors/named-tensor.ts";
import { alternatives } from "../../core/text/alternatives.ts";
import { show } from "../../core/text/show.ts";
import type { GgufMetadata } from "../../io/gguf/header.ts";
import { type ModelConfig, modelConfigSchema } from "../../models/config.ts";
import type { TensorMapping } from "../../models/hugging-face/architecture.ts";
import { checkJson } from "../files/checkpoint-json.ts";
import { type Fields, fieldsOf } from "./fields.ts";
import { ownKeys } from "./own-keys.ts";
import { frequencyFactors, readRope, rotatedChannels } from "./rope.ts";

const kinds = ["llama", "gpt2", "qwen2", "qwen3", "phi3"] as const;
/** llama.cpp's name of an architecture. */
export type Kind = (typeof kinds)[number];

/** A model as a file describes it. */
export interface GgufModel {
  readonly config: ModelConfig;
  /** Rows of the embedding. */
  readonly vocabSize: number;
  /** Each tensor of the file by its name; null for one that is no weight. */
  readonly mappings: ReadonlyMap<string, TensorMapping | null>;
  /** Channels of a head of which llama.cpp rotates neighbours; 0 where it rotates halves, as here. */
  readonly interleaved: number;
}

/** Keys after the architecture's name that are read here, or that change no result. */
const knownKeys = new Set([
  ...["vocab_size", "context_length", "embedding_length", "block_count", "feed_forward_length"],
  ...["attention.head_count", "attention.head_count_kv", "attention.key_length", "attention.value_length"],
  ...["attention.layer_norm_epsilon", "attention.layer_norm_rms_epsilon", "attention.sliding_window"],
  ...["attention.causal", "use_parallel_residual", "tensor_data_layout", "expert_count", "expert_used_count"],
  ...["rope.dimension_count", "rope.freq_base", "rope.scale_linear", "rope.scaling.type", "rope.scaling.factor"],
  ...["rope.scaling.attn_factor", "rope.scaling.original_context_length", "rope.scaling.finetuned"],
]);

/** Fails for settings that would give other results than those of this model's parts. */
const checkSettings = (metadata: GgufMetadata, fields: Fields, kind: Kind): void => {
  const prefix = `${kind}.`;
  for (const [key, value] of metadata) {
    if (key.startsWith(prefix) && !knownKeys.has(key.slice(prefix.length))) {
      fields.fail(key, "must be absent, since it may change results and is not supported", value);
    }
  }
  if (!(fields.flag(`${kind}.attention.causal`) ?? true))
    fields.fail(`${kind}.attention.causal`, "must be true", false);
  if (fields.flag(`${kind}.use_parallel_residual`) ?? false) {
    fields.fail(`${kind}.use_parallel_residual`, "must be false", true);
  }
  const experts = metadata.get(`${kind}.expert_count`) ?? 0;
  if (experts !== 0) fields.fail(`${kind}.expert_count`, "must be 0: mixtures of experts are not supported", experts);
};

/** Sizes that all architectures have. */
const readSizes = (fields: Fields, kind: Kind) => {
  const need = (key: string): number =>
    fields.count(`${kind}.${key}`) ?? fields.fail(`${kind}.${key}`, "must be there", undefined);
  const nHead = need("attention.head_count");
  const nEmbd = need("embedding_length");
  const nKvHead = fields.count(`${kind}.attention.head_count_kv`) ?? nHead;
  const headDim = fields.count(`${kind}.attention.key_length`) ?? nEmbd / nHead;
  const valueDim = fields.count(`${kind}.attention.value_length`) ?? nEmbd / nHead;
  if (valueDim !== headDim) {
    fields.fail(`${kind}.attention.value_length`, `must be that of keys, ${headDim}`, valueDim);
  }
  const contextLength = need("context_length");
  const window = fields.id(`${kind}.attention.sliding_window`) ?? 0;
  if (window !== 0 && window < contextLength) {
    const must = `must be 0 or at least the context of ${contextLength}: every position sees all before it`;
    fields.fail(`${kind}.attention.sliding_window`, must, window);
  }
  return {
    contextLength,
    nLayer: need("block_count"),
    hidden: need("feed_forward_length"),
    nHead,
    nEmbd,
    nKvHead,
    headDim,
  };
};

/** The normalisation's epsilon. */
const epsilonOf = (fields: Fields, key: string): number =>
  fields.real(key) ?? fields.fail(key, "must be there", undefined);

const common = { mask: "causal", dropout: 0, initStd: 0.02, zeroProjections: false } as const;

const readGpt2 = (fields: Fields, tieEmbeddings: boolean): object => {
  const { hidden, nKvHead, headDim: _, ...sizes } = readSizes(fields, "gpt2");
  const { nEmbd, nHead } = sizes;
  if (nKvHead !== nHead) fields.fail("gpt2.attention.head_count_kv", `must be that of queries, ${nHead}`, nKvHead);
  const exact = fields.text(ownKeys.gelu) === "none";
  if (hidden % nEmbd !== 0) fields.fail("gpt2.feed_forward_length", `must be a multiple of ${nEmbd}`, hidden);
  return {
    ...common,
    ...sizes,
    position: { kind: "learned" },
    qkNorm: false,
    norm: { kind: "layernorm", eps: epsilonOf(fields, "gpt2.attention.layer_norm_epsilon") },
    mlp: { kind: "gelu", approximate: exact ? "none" : "tanh", ratio: hidden / nEmbd },
    bias: { qkv: true, projection: true, mlp: true },
    tieEmbeddings,
  };
};

const readLlama = async (
  fields: Fields,
  kind: Kind,
  tensors: ReadonlyMap<string, StoredTensor>,
  where: string,
): Promise<object> => {
  const { hidden, nKvHead, headDim, ...sizes } = readSizes(fields, kind);
  const { nHead, nEmbd } = sizes;
  return {
    ...common,
    ...sizes,
    ...(nKvHead === nHead ? {} : { nKvHead }),
    ...(headDim * nHead === nEmbd ? {} : { headDim }),
    position: await readRope(fields, kind, headDim, tensors.get(frequencyFactors), where),
    qkNorm: kind === "qwen3",
    norm: { kind: "rmsnorm", eps: epsilonOf(fields, `${kind}.attention.layer_norm_rms_epsilon`) },
    mlp: { kind: "swiglu", hidden },
    bias: {
      qkv: tensors.has("blk.0.attn_q.bias"),
      projection: tensors.has("blk.0.attn_output.bias"),
      mlp: tensors.has("blk.0.ffn_down.bias"),
    },
    tieEmbeddings: !tensors.has("output.weight"),
  };
};

/** A layer's weight and, where the model has one, its bias. */
const withBias = (theirs: string, ours: string, hasBias: boolean, part?: TensorMapping["part"]): TensorMapping[] =>
  ["weight", ...(hasBias ? ["bias"] : [])].map((name) => ({
    theirs: `${theirs}.${name}`,
    ours: `${ours}.${name}`,
    ...(part === undefined ? {} : { part }),
  }));

/** Whether a file has queries, keys and values as one layer, and gate and up. */
const isFused = (kind: Kind): boolean => kind === "gpt2" || kind === "phi3";

const blockMappings = (i: number, config: ModelConfig, kind: Kind): readonly TensorMapping[] => {
  const { nHead, nKvHead = nHead, nEmbd, headDim = nEmbd / nHead, mlp, bias, norm, qkNorm } = config;
  const hasNormBias = norm.kind === "layernorm";
  const [queries, keys] = [nHead * headDim, nKvHead * headDim];
  const map = (theirs: string, ours: string, hasBias: boolean, part?: TensorMapping["part"]): TensorMapping[] =>
    withBias(`blk.${i}.${theirs}`, `blocks.${i}.${ours}`, hasBias, part);
  return [
    ...map("attn_norm", "attentionNorm", hasNormBias),
    ...(isFused(kind)
      ? map("attn_qkv", "attention.qkv", bias.qkv)
      : [
          ...map("attn_q", "attention.qkv", bias.qkv, { first: 0, rows: queries }),
          ...map("attn_k", "attention.qkv", bias.qkv, { first: queries, rows: keys }),
          ...map("attn_v", "attention.qkv", bias.qkv, { first: queries + keys, rows: keys }),
        ]),
    ...(qkNorm
      ? [...map("attn_q_norm", "attention.queryNorm", false), ...map("attn_k_norm", "attention.keyNorm", false)]
      : []),
    ...map("attn_output", "attention.projection", bias.projection),
    ...map("ffn_norm", "mlpNorm", hasNormBias),
    ...(mlp.kind === "gelu" || mlp.kind === "relu2"
      ? map("ffn_up", "mlp.up", bias.mlp)
      : isFused(kind)
        ? map("ffn_up", "mlp.gateUp", bias.mlp)
        : [
            ...map("ffn_gate", "mlp.gateUp", bias.mlp, { first: 0, rows: mlp.hidden }),
            ...map("ffn_up", "mlp.gateUp", bias.mlp, { first: mlp.hidden, rows: mlp.hidden }),
          ]),
    ...map("ffn_down", "mlp.down", bias.mlp),
  ];
};

/** Every weight of a complete file by its name. */
export const mappingsOf = (config: ModelConfig, kind: Kind): ReadonlyMap<string, TensorMapping> => {
  const list: readonly TensorMapping[] = [
    { theirs: "token_embd.weight", ours: "tokens.weight" },
    ...(config.position.kind === "learned" ? [{ theirs: "position_embd.weight", ours: "positions.weight" }] : []),
    ...Array.from({ length: config.nLayer }, (_, i) => blockMappings(i, config, kind)).flat(),
    ...withBias("output_norm", "norm", config.norm.kind === "layernorm"),
    ...(config.tieEmbeddings ? [] : [{ theirs: "output.weight", ours: "head.weight" }]),
  ];
  return new Map(list.map((mapping) => [mapping.theirs, mapping]));
};

/** @throws CheckpointError for a missing or superfluous tensor. */
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

const kindOf = (metadata: GgufMetadata, fields: Fields): Kind => {
  const type = fields.text("general.type") ?? "model";
  if (type !== "model") fields.fail("general.type", "must be model", type);
  const parts = metadata.get("split.count") ?? 0;
  if (parts !== 0 && parts !== 1) {
    fields.fail("split.count", "must be 1: join the parts of a split file first (llama-gguf-split --merge)", parts);
  }
  const name = fields.text("general.architecture");
  const kind = kinds.find((known) => known === name);
  return kind ?? fields.fail("general.architecture", `must be ${alternatives(kinds)}`, name);
};

/**
 * The model of a GGUF file.
 * @param list its tensors; Llama 3's frequency factors are read, no weights.
 * @throws CheckpointError naming the field or tensor that is missing, wrong, or not supported.
 */
export const readGgufModel = async (
  metadata: GgufMetadata,
  list: readonly StoredTensor[],
  where: string,
): Promise<GgufModel> => {
  const fields = fieldsOf(metadata, where);
  const kind = kindOf(metadata, fields);
  checkSettings(metadata, fields, kind);
  const tensors = new Map(list.map((tensor) => [tensor.name, tensor]));
  const [vocabSize = 0] = tensors.get("token_embd.weight")?.shape ?? [];
  const declared = fields.count(`${kind}.vocab_size`) ?? vocabSize;
  if (declared !== vocabSize) {
    fields.fail(`${kind}.vocab_size`, `must be the rows of token_embd.weight, ${vocabSize}`, declared);
  }
  const raw =
    kind === "gpt2" ? readGpt2(fields, !tensors.has("output.weight")) : await readLlama(fields, kind, tensors, where);
  const config: ModelConfig = checkJson(modelConfigSchema, raw, where);
  const mappings = mappingsOf(config, kind);
  checkNames(mappings, tensors, kind !== "gpt2", where);
  const { nEmbd, nHead, headDim = nEmbd / nHead } = config;
  return {
    ...{ config, vocabSize },
    mappings: new Map([...tensors.keys()].map((name) => [name, mappings.get(name) ?? null])),
    interleaved: kind === "llama" ? rotatedChannels(fields, kind, headDim) : 0,
  };
};
