/** Differences between the `transformers` classes that have blocks like Llama's. */
import { type MlpConfig, mlpLayers } from "../../../nn/mlp.ts";
import type { ModelConfig, RopeConfig } from "../../config.ts";
import type { Slides } from "./window-json.ts";

/**
 * A class with blocks like Llama's: rotary positions, RMS norm and a gated MLP. Q, K, V, gate and up are separate
 * layers.
 */
export interface LlamaKind {
  readonly className: string;
  readonly modelType: string;
  /** Default of `rms_norm_eps`. */
  readonly eps: number;
  /**
   * Which channels one norm of queries or keys covers: the channels of one head, or of all heads. Default: no norm of
   * queries and keys.
   */
  readonly qkNorm?: "head" | "all";
  /** Default: before. */
  readonly normPlacement?: "after" | "both";
  /** Number that is subtracted from each weight of a norm when the weight is stored in a file. Default: 0. */
  readonly normOffset?: number;
  /** Kind of the MLP. Default: swiglu. */
  readonly mlp?: "geglu";
  /** Which attention layers have biases: all four layers if `attention_bias` is true, or always Q, K and V. */
  readonly attentionBias: "asked" | "qkv" | "none";
  readonly mlpBias?: true;
  /** Whether only a part of each head may be rotated. */
  readonly partial?: true;
  /** Which layers have a window. */
  readonly slides: Slides;
  /** Default of `sliding_window`. */
  readonly window?: number;
  /** Default of `head_dim`. If undefined, the default is hidden_size / num_attention_heads. */
  readonly headDim?: number;
  /** Default of `num_key_value_heads`. If undefined, the default is num_attention_heads. */
  readonly nKvHead?: number;
  /** Default of `rope_theta`. If undefined, the default is 10,000. */
  readonly theta?: number;
  /**
   * Default of `rope_theta` in layers with a window. Set only for a class that allows a second base in these layers.
   */
  readonly windowTheta?: number | "same";
  /** Default of `tie_word_embeddings`. If undefined, the default is false. */
  readonly tied?: true;
  /**
   * Unsupported fields that change the result. For each field, the list contains the values that do not change the
   * result.
   */
  readonly refused?: Readonly<Record<string, readonly unknown[]>>;
  /** Reads from `config.json` the configuration fields that only this class has. */
  readonly readOwn?: (json: object, config: ModelConfig, where: string) => ModelConfig;
  /**
   * Which files have one layer for Q, K and V, and one layer for gate and up: all files, or only files of a sibling
   * class.
   */
  readonly fused?: "always" | "siblings";
  /** Fields of `config.json` that only this class has, or that this class writes differently. */
  readonly ownJson: (config: LlamaConfig) => Record<string, unknown>;
}

/** A configuration with blocks like Llama's. */
export type LlamaConfig = ModelConfig & {
  readonly position: RopeConfig;
  readonly norm: { readonly kind: "rmsnorm" };
  readonly mlp: Extract<MlpConfig, { readonly hidden: number }>;
};

const hasLlamaBlocks = ({ position, norm, mlp, nEmbd }: ModelConfig): boolean =>
  position.kind === "rope" && norm.kind === "rmsnorm" && mlpLayers(mlp, nEmbd).first === "gateUp";

const isLlamaConfig = (config: ModelConfig): config is LlamaConfig => hasLlamaBlocks(config);

/**
 * Narrows the type of a configuration to a configuration with blocks like Llama's. The architecture accepts no other
 * configuration, so a failure is a bug.
 */
export const llamaConfig = (config: ModelConfig): LlamaConfig => {
  if (!isLlamaConfig(config))
    throw new Error("an architecture with Llama's blocks must have rope, rmsnorm and a gated MLP");
  return config;
};

/** Whether all four attention layers have biases, for a class that allows these biases. */
export const hasAttentionBias = ({ bias }: ModelConfig): boolean => bias.qkv || bias.projection;
