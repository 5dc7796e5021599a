/** Names of the weights in blocks like Llama's, as `transformers` stores them. */
import { headsOf } from "../../../nn/causal-self-attention.ts";
import type { ModelConfig } from "../../config.ts";
import type { TensorMapping } from "../architecture.ts";
import { type LlamaConfig, type LlamaKind, llamaConfig } from "./llama-kind.ts";

/** Number that is subtracted from each weight of a norm when the weight is stored in a file. */
const plusOf = ({ normOffset }: LlamaKind): Partial<TensorMapping> =>
  normOffset === undefined ? {} : { plus: normOffset };

/** Biases of a block. Foretoken's model may lack biases that the class has. */
const biasMappings = (i: number, config: LlamaConfig, { attentionBias }: LlamaKind): readonly TensorMapping[] => {
  const { nEmbd, mlp, bias } = config;
  const { heads, keyHeads, headDim } = headsOf(config);
  const [queries, keys] = [heads * headDim, keyHeads * headDim];
  const map = (ours: string, theirs: string, first: number, rows: number): TensorMapping => ({
    ours: `blocks.${i}.${ours}.bias`,
    theirs: `model.layers.${i}.${theirs}.bias`,
    part: { first, rows },
    absent: rows,
  });
  return [
    ...(bias.qkv || bias.projection
      ? [
          map("attention.qkv", "self_attn.q_proj", 0, queries),
          map("attention.qkv", "self_attn.k_proj", queries, keys),
          map("attention.qkv", "self_attn.v_proj", queries + keys, keys),
          ...(attentionBias === "qkv" ? [] : [map("attention.projection", "self_attn.o_proj", 0, nEmbd)]),
        ]
      : []),
    ...(bias.mlp
      ? [
          map("mlp.gateUp", "mlp.gate_proj", 0, mlp.hidden),
          map("mlp.gateUp", "mlp.up_proj", mlp.hidden, mlp.hidden),
          map("mlp.down", "mlp.down_proj", 0, nEmbd),
        ]
      : []),
  ];
};

/** Names of a block's norms. The norms are before each branch, after each branch, or both. */
const normNames = {
  before: { attentionNorm: "input_layernorm", mlpNorm: "post_attention_layernorm" },
  after: { attentionPostNorm: "post_attention_layernorm", mlpPostNorm: "post_feedforward_layernorm" },
  both: {
    attentionNorm: "input_layernorm",
    attentionPostNorm: "post_attention_layernorm",
    mlpNorm: "pre_feedforward_layernorm",
    mlpPostNorm: "post_feedforward_layernorm",
  },
} as const;

/** @param whole whether one layer computes Q, K and V, and one layer computes gate and up. */
const blockMappings = (i: number, config: LlamaConfig, kind: LlamaKind, whole: boolean): readonly TensorMapping[] => {
  const { qkNorm, normPlacement = "before", mlp } = config;
  const { heads, keyHeads, headDim } = headsOf(config);
  const map = (ours: string, theirs: string, rest: Partial<TensorMapping> = {}): TensorMapping => ({
    ours: `blocks.${i}.${ours}.weight`,
    theirs: `model.layers.${i}.${theirs}.weight`,
    ...rest,
  });
  const part = (ours: string, theirs: string, first: number, rows: number): TensorMapping =>
    map(ours, theirs, { part: { first, rows } });
  const norm = (ours: string, theirs: string): TensorMapping => map(ours, theirs, plusOf(kind));
  const [queries, keys] = [heads * headDim, keyHeads * headDim];
  const names: Readonly<Record<string, string>> = normNames[normPlacement];
  const normsOf = (branch: string): readonly TensorMapping[] =>
    Object.entries(names).flatMap(([ours, theirs]) => (ours.startsWith(branch) ? [norm(ours, theirs)] : []));
  return [
    ...biasMappings(i, config, kind),
    ...normsOf("attention"),
    ...(whole
      ? [map("attention.qkv", "self_attn.qkv_proj")]
      : [
          part("attention.qkv", "self_attn.q_proj", 0, queries),
          part("attention.qkv", "self_attn.k_proj", queries, keys),
          part("attention.qkv", "self_attn.v_proj", queries + keys, keys),
        ]),
    ...(qkNorm ? [norm("attention.queryNorm", "self_attn.q_norm"), norm("attention.keyNorm", "self_attn.k_norm")] : []),
    map("attention.projection", "self_attn.o_proj"),
    ...normsOf("mlp"),
    ...(whole
      ? [map("mlp.gateUp", "mlp.gate_up_proj")]
      : [
          part("mlp.gateUp", "mlp.gate_proj", 0, mlp.hidden),
          part("mlp.gateUp", "mlp.up_proj", mlp.hidden, mlp.hidden),
        ]),
    map("mlp.down", "mlp.down_proj"),
  ];
};

/**
 * All weights of a model with blocks like Llama's.
 * @param whole whether one layer computes Q, K and V, and one layer computes gate and up.
 */
export const llamaMappings = (config: ModelConfig, kind: LlamaKind, whole: boolean): readonly TensorMapping[] => {
  const model = llamaConfig(config);
  return [
    { ours: "tokens.weight", theirs: "model.embed_tokens.weight" },
    ...Array.from({ length: config.nLayer }, (_, i) => blockMappings(i, model, kind, whole)).flat(),
    { ours: "norm.weight", theirs: "model.norm.weight", ...plusOf(kind) },
    ...(config.tieEmbeddings ? [] : [{ ours: "head.weight", theirs: "lm_head.weight" }]),
  ];
};
