/** Qwen2 (Yang et al. 2024): Llama with biases only on Q, K and V. */
import type { Architecture } from "../architecture.ts";
import { llamaGguf } from "../common/llama-gguf.ts";
import { llamaForm } from "../common/llama-json.ts";
import { llamaShape } from "../common/llama-shape.ts";
import { askedWindowJson } from "../common/window-json.ts";

export const qwen2: Architecture = {
  name: "qwen2",
  takes: { ...llamaShape, scaling: "any", window: "any", "bias.qkv": [true] },
  huggingFace: llamaForm({
    className: "Qwen2ForCausalLM",
    modelType: "qwen2",
    eps: 1e-6,
    attentionBias: "qkv",
    slides: "asked",
    window: 4096,
    ownJson: askedWindowJson,
  }),
  gguf: llamaGguf({ name: "qwen2" }),
};
