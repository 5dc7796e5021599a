/**
 * Llama (Touvron et al. 2023): rotary positions, RMS norm, SwiGLU. In `LlamaForCausalLM`, either all four attention
 * layers have biases, or no attention layer has them.
 */
import type { Architecture } from "../architecture.ts";
import { llamaGguf } from "../common/llama-gguf.ts";
import { llamaForm } from "../common/llama-json.ts";
import { hasAttentionBias } from "../common/llama-kind.ts";
import { llamaShape } from "../common/llama-shape.ts";

export const llama: Architecture = {
  name: "llama",
  takes: {
    ...llamaShape,
    scaling: "any",
    // Biases only on Q, K and V mean Qwen2.
    "bias.qkv": (has, { bias }) => !has || bias.projection || bias.mlp,
    "bias.projection": "any",
    "bias.mlp": "any",
  },
  huggingFace: llamaForm({
    className: "LlamaForCausalLM",
    modelType: "llama",
    eps: 1e-6,
    attentionBias: "asked",
    mlpBias: true,
    slides: "never",
    fused: "siblings",
    ownJson: (config) => ({ attention_bias: hasAttentionBias(config), mlp_bias: config.bias.mlp }),
  }),
  gguf: llamaGguf({ name: "llama", interleaved: true }),
};
