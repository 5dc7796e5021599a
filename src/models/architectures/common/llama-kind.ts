/** What the classes of `transformers` that have Llama's blocks differ in. */
import { type MlpConfig, mlpLayers } from "../../../nn/mlp.ts";
import type { ModelConfig, RopeConfig } from "../../config.ts";
import type { Slides } from "./window-json.ts";

/**
 * A class with Llama's blocks: rotary positions, RMS norm, an MLP with a gate. Queries, keys and values are layers of their own
 * there, and so are gate and up.
 */
export interface LlamaKind {
  readonly className: string;
  readonly modelType: string;
  /** `rms_norm_eps` where it is absent. */
  readonly eps: number;
  /** Channels over which queries and keys have a norm. Default: they have none. */
  readonly qkNorm?: "head" | "all";
  /** Default: before. */
  readonly normPlacement?: "after" | "both";
  /** What files have less of each norm's factors. Default: nothing. */
  readonly normOffset?: number;
  /** The MLP's kind. Default: swiglu. */
  readonly mlp?: "geglu";
  /** Biases of all four layers of attention, where `attention_bias` asks for them; or of Q, K and V, always. */
  readonly attentionBias: "asked" | "qkv" | "none";
  readonly mlpBias?: true;
  /** A part of each head may be rotated. */
  readonly partial?: true;
  /** Which layers have a window. */
  readonly slides: Slides;
  /** `sliding_window` where it is absent. */
  readonly window?: number;
  /** `head_dim` where it is absent; else hidden_size / num_attention_heads. */
  readonly headDim?: number;
  /** `num_key_value_heads` where it is absent; else num_attention_heads. */
  readonly nKvHead?: number;
  /** `rope_theta` where it is absent; else 10,000. */
  readonly theta?: number;
  /** `rope_theta` of layers with a window, where it is absent, in a class where they may have their own. */
  readonly windowTheta?: number | "same";
  /** `tie_word_embeddings` where it is absent; else false. */
  readonly tied?: true;
  /** Fields that change the result and are not supported, each with its values that change nothing. */
  readonly refused?: Readonly<Record<string, readonly unknown[]>>;
  /** Fields of the configuration that the class alone has, from its `config.json`. */
  readonly readOwn?: (json: object, config: ModelConfig, where: string) => ModelConfig;
  /** Whether files have Q, K and V as one layer, and gate and up: all of them, or those of a sibling class. */
  readonly fused?: "always" | "siblings";
  /** Fields of `config.json` that the class alone has, or has otherwise. */
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

/** The configuration, as one with Llama's blocks: its architecture takes no other. */
export const llamaConfig = (config: ModelConfig): LlamaConfig => {
  if (!isLlamaConfig(config)) throw new Error("an architecture of Llama's kind has rope, rmsnorm and a gate");
  return config;
};

/** Whether all four layers of attention have biases in a class that may have them. */
export const hasAttentionBias = ({ bias }: ModelConfig): boolean => bias.qkv || bias.projection;
