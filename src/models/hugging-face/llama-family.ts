import { headsOf } from "../../nn/causal-self-attention.ts";
import type { RotaryScaling } from "../../ops/rotary.ts";
import type { ModelConfig, RopeConfig } from "../config.ts";
import { type Architecture, commonJson, type TensorMapping } from "./architecture.ts";

/**
 * `LlamaForCausalLM`: rotary positions, RMS norm, SwiGLU. With QK-norm it is `Qwen3ForCausalLM`, with biases on Q, K and V
 * alone `Qwen2ForCausalLM`, where a part of a head is rotated `Phi3ForCausalLM`. Queries, keys and values are layers of
 * their own there, and so are gate and up; in Phi3 they are one, as here. Llama and Qwen3 have biases on all four layers of
 * attention or on none.
 */

type LlamaConfig = ModelConfig & {
  readonly position: RopeConfig;
  readonly norm: { readonly kind: "rmsnorm" };
  readonly mlp: { readonly kind: "swiglu" };
};

const fractionOf = ({ fraction = 1 }: RopeConfig): number => fraction;
const scalingOf = ({ scaling = { kind: "none" } }: RopeConfig): RotaryScaling => scaling;

/** Whether a class of the family has all that the model has: none has QK-norm, or biases, where a part of a head is rotated. */
export const isLlamaFamily = (config: ModelConfig): config is LlamaConfig => {
  const { position, norm, mlp, bias, qkNorm } = config;
  if (position.kind !== "rope" || norm.kind !== "rmsnorm" || mlp.kind !== "swiglu") return false;
  if (fractionOf(position) === 1) return !(qkNorm && bias.mlp);
  return !qkNorm && !bias.qkv && !bias.projection && !bias.mlp && scalingOf(position).kind === "none";
};

type ClassName = "LlamaForCausalLM" | "Qwen2ForCausalLM" | "Qwen3ForCausalLM" | "Phi3ForCausalLM";

const classOf = ({ position, qkNorm, bias }: LlamaConfig): { readonly name: ClassName; readonly modelType: string } => {
  if (qkNorm) return { name: "Qwen3ForCausalLM", modelType: "qwen3" };
  if (fractionOf(position) !== 1) return { name: "Phi3ForCausalLM", modelType: "phi3" };
  return bias.qkv && !bias.projection && !bias.mlp
    ? { name: "Qwen2ForCausalLM", modelType: "qwen2" }
    : { name: "LlamaForCausalLM", modelType: "llama" };
};

/** Whether all four layers of attention have biases there. */
const hasAttentionBias = ({ bias }: LlamaConfig): boolean => bias.qkv || bias.projection;

/** Biases of a block. Ours may lack some of those that the class has. */
const biasMappings = (i: number, config: LlamaConfig): readonly TensorMapping[] => {
  const { nEmbd, mlp, bias } = config;
  const { heads, keyHeads, headDim } = headsOf(config);
  const [queries, keys] = [heads * headDim, keyHeads * headDim];
  const map = (ours: string, theirs: string, first: number, rows: number): TensorMapping => ({
    ours: `blocks.${i}.${ours}.bias`,
    theirs: `model.layers.${i}.${theirs}.bias`,
    part: { first, rows },
    absent: rows,
  });
  const { name } = classOf(config);
  return [
    ...(hasAttentionBias(config)
      ? [
          map("attention.qkv", "self_attn.q_proj", 0, queries),
          map("attention.qkv", "self_attn.k_proj", queries, keys),
          map("attention.qkv", "self_attn.v_proj", queries + keys, keys),
          ...(name === "Qwen2ForCausalLM" ? [] : [map("attention.projection", "self_attn.o_proj", 0, nEmbd)]),
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
const blockMappings = (i: number, config: LlamaConfig, whole: boolean): readonly TensorMapping[] => {
  const { qkNorm, mlp } = config;
  const { heads, keyHeads, headDim } = headsOf(config);
  const map = (ours: string, theirs: string, part?: TensorMapping["part"]): TensorMapping => ({
    ours: `blocks.${i}.${ours}.weight`,
    theirs: `model.layers.${i}.${theirs}.weight`,
    ...(part === undefined ? {} : { part }),
  });
  const [queries, keys] = [heads * headDim, keyHeads * headDim];
  return [
    ...biasMappings(i, config),
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

/** `rope_scaling`, absent where there is none. */
const scalingJson = (scaling: RotaryScaling) => {
  switch (scaling.kind) {
    case "none":
      return {};
    case "linear":
      return { rope_scaling: { rope_type: "linear", factor: scaling.factor } };
    case "llama3":
      return {
        rope_scaling: {
          rope_type: "llama3",
          factor: scaling.factor,
          low_freq_factor: scaling.lowFrequency,
          high_freq_factor: scaling.highFrequency,
          original_max_position_embeddings: scaling.originalContext,
        },
      };
    default:
      return scaling satisfies never;
  }
};

/** What the class alone has. */
const ownJson: Readonly<Record<ClassName, (config: LlamaConfig) => Record<string, unknown>>> = {
  LlamaForCausalLM: (config) => ({ attention_bias: hasAttentionBias(config), mlp_bias: config.bias.mlp }),
  Qwen2ForCausalLM: () => ({ use_sliding_window: false }),
  Qwen3ForCausalLM: (config) => ({ attention_bias: hasAttentionBias(config), use_sliding_window: false }),
  // Its attention is told a window of its own, of at least the context; and tokens that the vocabulary may not have.
  Phi3ForCausalLM: ({ position, contextLength }) => ({
    partial_rotary_factor: fractionOf(position),
    original_max_position_embeddings: contextLength,
    sliding_window: null,
  }),
};

export const llamaFamily = (config: LlamaConfig): Architecture => {
  const { contextLength, nEmbd, nLayer, dropout, norm, mlp, position, tieEmbeddings } = config;
  const { heads, keyHeads, headDim } = headsOf(config);
  const { name, modelType } = classOf(config);
  const isFused = name === "Phi3ForCausalLM";
  const mappings = (whole: boolean): readonly TensorMapping[] => [
    { ours: "tokens.weight", theirs: "model.embed_tokens.weight" },
    ...Array.from({ length: nLayer }, (_, i) => blockMappings(i, config, whole)).flat(),
    { ours: "norm.weight", theirs: "model.norm.weight" },
    ...(tieEmbeddings ? [] : [{ ours: "head.weight", theirs: "lm_head.weight" }]),
  ];
  return {
    name,
    prefix: "model.",
    configJson: (vocabSize) => ({
      ...commonJson(name, modelType, config, vocabSize),
      hidden_size: nEmbd,
      intermediate_size: mlp.hidden,
      num_hidden_layers: nLayer,
      num_attention_heads: heads,
      num_key_value_heads: keyHeads,
      head_dim: headDim,
      hidden_act: "silu",
      max_position_embeddings: contextLength,
      rms_norm_eps: norm.eps,
      rope_theta: position.theta,
      ...scalingJson(scalingOf(position)),
      attention_dropout: dropout,
      ...ownJson[name](config),
    }),
    mappings: mappings(isFused),
    ...(name === "LlamaForCausalLM" ? { fused: mappings(true) } : {}),
  };
};
