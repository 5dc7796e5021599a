import type { ModelConfig } from "../config.ts";
import { type Architecture, commonJson, type TensorMapping } from "./architecture.ts";

/**
 * `Qwen3ForCausalLM`: rotary positions, RMS norm, QK-norm, SwiGLU, no biases. Without QK-norm it is `LlamaForCausalLM`.
 * Queries, keys and values are layers of their own there, and so are gate and up.
 */

type Qwen3Config = ModelConfig & {
  readonly position: { readonly kind: "rope" };
  readonly norm: { readonly kind: "rmsnorm" };
  readonly mlp: { readonly kind: "swiglu" };
};

export const isQwen3 = (config: ModelConfig): config is Qwen3Config =>
  config.position.kind === "rope" &&
  config.norm.kind === "rmsnorm" &&
  config.mlp.kind === "swiglu" &&
  !config.bias.qkv &&
  !config.bias.projection &&
  !config.bias.mlp;

const blockMappings = (i: number, qkNorm: boolean): readonly TensorMapping[] => {
  const map = (ours: string, theirs: string, index = 0, count = 1): TensorMapping => ({
    ours: `blocks.${i}.${ours}.weight`,
    theirs: `model.layers.${i}.${theirs}.weight`,
    part: { index, count },
  });
  return [
    map("attentionNorm", "input_layernorm"),
    map("attention.qkv", "self_attn.q_proj", 0, 3),
    map("attention.qkv", "self_attn.k_proj", 1, 3),
    map("attention.qkv", "self_attn.v_proj", 2, 3),
    ...(qkNorm ? [map("attention.queryNorm", "self_attn.q_norm"), map("attention.keyNorm", "self_attn.k_norm")] : []),
    map("attention.projection", "self_attn.o_proj"),
    map("mlpNorm", "post_attention_layernorm"),
    map("mlp.gateUp", "mlp.gate_proj", 0, 2),
    map("mlp.gateUp", "mlp.up_proj", 1, 2),
    map("mlp.down", "mlp.down_proj"),
  ];
};

export const qwen3 = (config: Qwen3Config): Architecture => {
  const { contextLength, nEmbd, nLayer, nHead, dropout, norm, mlp, position, qkNorm, tieEmbeddings } = config;
  const [name, modelType] = qkNorm
    ? (["Qwen3ForCausalLM", "qwen3"] as const)
    : (["LlamaForCausalLM", "llama"] as const);
  return {
    name,
    configJson: (vocabSize) => ({
      ...commonJson(name, modelType, config, vocabSize),
      hidden_size: nEmbd,
      intermediate_size: mlp.hidden,
      num_hidden_layers: nLayer,
      num_attention_heads: nHead,
      num_key_value_heads: nHead,
      head_dim: nEmbd / nHead,
      hidden_act: "silu",
      max_position_embeddings: contextLength,
      rms_norm_eps: norm.eps,
      rope_theta: position.theta,
      attention_bias: false,
      attention_dropout: dropout,
      ...(qkNorm ? { use_sliding_window: false } : { mlp_bias: false }),
    }),
    mappings: [
      { ours: "tokens.weight", theirs: "model.embed_tokens.weight" },
      ...Array.from({ length: nLayer }, (_, i) => blockMappings(i, qkNorm)).flat(),
      { ours: "norm.weight", theirs: "model.norm.weight" },
      ...(tieEmbeddings ? [] : [{ ours: "head.weight", theirs: "lm_head.weight" }]),
    ],
  };
};
