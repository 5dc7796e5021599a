/** Differences between the `transformers` classes with Llama's blocks. */
import { type MlpConfig, mlpLayers } from "../../../nn/mlp.ts";
import type { ModelConfig, RopeConfig } from "../../config.ts";
import type { Slides } from "./window-json.ts";

/** A class with Llama's blocks: rotary positions, RMS norm, a gated MLP. Q, K, V, gate and up are separate layers. */
export interface LlamaKind {
  readonly className: string;
  readonly modelType: string;
  /** Default of `rms_norm_eps`. */
  readonly eps: number;
  /** Channels that the norm of queries and keys covers. Default: no such norm. */
  readonly qkNorm?: "head" | "all";
  /** Default: before. */
  readonly normPlacement?: "after" | "both";
  /** Files store each norm's weights minus this number. Default: 0. */
  readonly normOffset?: number;
  /** Kind of the MLP. Default: swiglu. */
  readonly mlp?: "geglu";
  /** Attention biases: on all four layers if `attention_bias` is true, or always on Q, K and V. */
  readonly attentionBias: "asked" | "qkv" | "none";
  readonly mlpBias?: true;
  /** Whether only a part of each head may be rotated. */
  readonly partial?: true;
  /** Which layers have a window. */
  readonly slides: Slides;
  /** Default of `sliding_window`. */
  readonly window?: number;
  /** Default of `head_dim`; undefined: hidden_size / num_attention_heads. */
  readonly headDim?: number;
  /** Default of `num_key_value_heads`; undefined: num_attention_heads. */
  readonly nKvHead?: number;
  /** Default of `rope_theta`; undefined: 10,000. */
  readonly theta?: number;
  /** Default `rope_theta` of layers with a window, in a class where these may have their own base. */
  readonly windowTheta?: number | "same";
  /** Default of `tie_word_embeddings`; undefined: false. */
  readonly tied?: true;
  /** Unsupported fields that change the result, each with its values that change nothing. */
  readonly refused?: Readonly<Record<string, readonly unknown[]>>;
  /** Reads configuration fields that only this class has from its `config.json`. */
  readonly readOwn?: (json: object, config: ModelConfig, where: string) => ModelConfig;
  /** Whether files fuse Q, K and V, and gate and up: in all files, or only in files of a sibling class. */
  readonly fused?: "always" | "siblings";
  /** Fields of `config.json` that only this class has or writes differently. */
  readonly ownJson: (config: LlamaConfig) => Record<string, unknown>;
}

/** A configuration with Llama's blocks. */
export type LlamaConfig = ModelConfig & {
  readonly position: RopeConfig;
  readonly norm: { readonly kind: "rmsnorm" };
  readonly mlp: Extract<MlpConfig, { readonly hidden: number }>;
};

const hasLlamaBlocks = ({ position, norm, mlp, nEmbd }: ModelConfig): boolean =>
  position.kind === "rope" && norm.kind === "rmsnorm" && mlpLayers(mlp, nEmbd).first === "gateUp";

const isLlamaConfig = (config: ModelConfig): config is LlamaConfig => hasLlamaBlocks(config);

/** Narrows a configuration to Llama's blocks. The architecture accepts no other, so a failure is a bug. */
export const llamaConfig = (config: ModelConfig): LlamaConfig => {
  if (!isLlamaConfig(config))
    throw new Error("an architecture with Llama's blocks must have rope, rmsnorm and a gated MLP");
  return config;
};

/** Whether all four attention layers have biases, in a class where they may. */
export const hasAttentionBias = ({ bias }: ModelConfig): boolean => bias.qkv || bias.projection;
