/** Names of the weights of blocks of Llama's kind in `transformers`. */
import { headsOf } from "../../../nn/causal-self-attention.ts";
import type { ModelConfig } from "../../config.ts";
import type { TensorMapping } from "../architecture.ts";
import { type LlamaConfig, type LlamaKind, llamaConfig } from "./llama-kind.ts";

/** Biases of a block. Ours may lack some of those that the class has. */
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

/** @param whole whether Q, K and V are one layer, and gate and up. */
const blockMappings = (i: number, config: LlamaConfig, kind: LlamaKind, whole: boolean): readonly TensorMapping[] => {
  const { qkNorm, mlp } = config;
  const { heads, keyHeads, headDim } = headsOf(config);
  const map = (ours: string, theirs: string, part?: TensorMapping["part"]): TensorMapping => ({
    ours: `blocks.${i}.${ours}.weight`,
    theirs: `model.layers.${i}.${theirs}.weight`,
    ...(part === undefined ? {} : { part }),
  });
  const [queries, keys] = [heads * headDim, keyHeads * headDim];
  return [
    ...biasMappings(i, config, kind),
    map("attentionNorm", "input_layernorm"),
    ...(whole
      ? [map("attention.qkv", "self_attn.qkv_proj")]
      : [
          map("attention.qkv", "self_attn.q_proj", { first: 0, rows: queries }),
          map("attention.qkv", "self_attn.k_proj", { first: queries, rows: keys }),
          map("attention.qkv", "self_attn.v_proj", { first: queries + keys, rows: keys }),
        ]),
    ...(qkNorm ? [map("attention.queryNorm", "self_attn.q_norm"), map("attention.keyNorm", "self_attn.k_norm")] : []),
    map("attention.projection", "self_attn.o_proj"),
    map("mlpNorm", "post_attention_layernorm"),
    ...(whole
      ? [map("mlp.gateUp", "mlp.gate_up_proj")]
      : [
          map("mlp.gateUp", "mlp.gate_proj", { first: 0, rows: mlp.hidden }),
          map("mlp.gateUp", "mlp.up_proj", { first: mlp.hidden, rows: mlp.hidden }),
        ]),
    map("mlp.down", "mlp.down_proj"),
  ];
};

/**
 * All weights of a model of Llama's kind.
 * @param whole whether Q, K and V are one layer, and gate and up.
 */
export const llamaMappings = (config: ModelConfig, kind: LlamaKind, whole: boolean): readonly TensorMapping[] => {
  const model = llamaConfig(config);
  return [
    { ours: "tokens.weight", theirs: "model.embed_tokens.weight" },
    ...Array.from({ length: config.nLayer }, (_, i) => blockMappings(i, model, kind, whole)).flat(),
    { ours: "norm.weight", theirs: "model.norm.weight" },
    ...(config.tieEmbeddings ? [] : [{ ours: "head.weight", theirs: "lm_head.weight" }]),
  ];
};
