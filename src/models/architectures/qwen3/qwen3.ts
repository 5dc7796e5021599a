/** Qwen3 (Yang et al. 2025): Llama with a norm of each head's queries and keys. */
import type { Architecture } from "../architecture.ts";
import { llamaGguf } from "../common/llama-gguf.ts";
import { llamaForm } from "../common/llama-json.ts";
import { hasAttentionBias } from "../common/llama-kind.ts";
import { llamaShape } from "../common/llama-shape.ts";
import { askedWindowJson } from "../common/window-json.ts";

export const qwen3: Architecture = {
  name: "qwen3",
  takes: {
    ...llamaShape,
    scaling: "any",
    window: "any",
    qkNorm: ["head"],
    "bias.qkv": "any",
    "bias.projection": "any",
  },
  huggingFace: llamaForm({
    className: "Qwen3ForCausalLM",
    modelType: "qwen3",
    eps: 1e-6,
    qkNorm: "head",
    attentionBias: "asked",
    slides: "asked",
    window: 4096,
    headDim: 128,
    ownJson: (config) => ({ attention_bias: hasAttentionBias(config), ...askedWindowJson(config) }),
  }),
  gguf: llamaGguf({
    name: "qwen3",
    qkNorm: "head",
    lacks: ({ bias }) =>
      bias.projection
        ? {
            field: "bias.projection",
            must: "must be false with qkNorm for a GGUF file: llama.cpp does not support this bias",
            got: "true",
          }
        : null,
  }),
};
