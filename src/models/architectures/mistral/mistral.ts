/** Mistral (Jiang et al. 2023): Llama with a window in all layers. llama.cpp does not support this window. */
import type { Architecture } from "../architecture.ts";
import { llamaForm } from "../common/llama-json.ts";
import { llamaShape } from "../common/llama-shape.ts";

export const mistral: Architecture = {
  name: "mistral",
  takes: { ...llamaShape, scaling: "any", window: ["all layers"] },
  huggingFace: llamaForm({
    className: "MistralForCausalLM",
    modelType: "mistral",
    eps: 1e-6,
    attentionBias: "none",
    slides: "given",
    window: 4096,
    fused: "siblings",
    ownJson: ({ window }) => ({ sliding_window: window?.size ?? null }),
  }),
  gguf: null,
};
