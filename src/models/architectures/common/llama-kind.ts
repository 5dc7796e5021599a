/** What the classes of `transformers` that have Llama's blocks differ in. */
import type { ModelConfig, RopeConfig, SwigluMlpConfig } from "../../config.ts";

/**
 * A class with Llama's blocks: rotary positions, RMS norm, an MLP with a gate. Queries, keys and values are layers of their own
 * there, and so are gate and up.
 */
export interface LlamaKind {
  readonly className: string;
  readonly modelType: string;
  /** `rms_norm_eps` where it is absent. */
  readonly eps: number;
  readonly qkNorm?: true;
  /** Biases of all four layers of attention, where `attention_bias` asks for them; or of Q, K and V, always. */
  readonly attentionBias: "asked" | "qkv" | "none";
  readonly mlpBias?: true;
  /** A part of each head may be rotated. */
  readonly partial?: true;
  /** Whether attention sees a sliding window: where `sliding_window` is a number, or only where `use_sliding_window` asks. */
  readonly slides: "never" | "asked" | "given";
  /** `sliding_window` where it is absent. */
  readonly window?: number;
  /** `head_dim` where it is absent; else hidden_size / num_attention_heads. */
  readonly headDim?: number;
  /** Whether files have Q, K and V as one layer, and gate and up: all of them, or those of a sibling class. */
  readonly fused?: "always" | "siblings";
  /** Fields of `config.json` that the class alone has. */
  readonly ownJson: (config: LlamaConfig) => Record<string, unknown>;
}

/** A configuration with Llama's blocks. */
export type LlamaConfig = ModelConfig & {
  readonly position: RopeConfig;
  readonly norm: { readonly kind: "rmsnorm" };
  readonly mlp: SwigluMlpConfig;
};

const hasLlamaBlocks = ({ position, norm, mlp }: ModelConfig): boolean =>
  position.kind === "rope" && norm.kind === "rmsnorm" && mlp.kind === "swiglu";

const isLlamaConfig = (config: ModelConfig): config is LlamaConfig => hasLlamaBlocks(config);

/** The configuration, as one with Llama's blocks: its architecture takes no other. */
export const llamaConfig = (config: ModelConfig): LlamaConfig => {
  if (!isLlamaConfig(config)) throw new Error("an architecture of Llama's kind has rope, rmsnorm and a gate");
  return config;
};

/** Whether all four layers of attention have biases in a class that may have them. */
export const hasAttentionBias = ({ bias }: ModelConfig): boolean => bias.qkv || bias.projection;
