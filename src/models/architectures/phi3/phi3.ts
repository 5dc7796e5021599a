/**
 * Phi-3 (Abdin et al. 2024): Llama with fused layers. One layer computes Q, K and V, and one layer computes gate and
 * up. Phi-3 may rotate only a part of each head.
 */
import type { Architecture } from "../architecture.ts";
import { llamaGguf } from "../common/llama-gguf.ts";
import { llamaForm } from "../common/llama-json.ts";
import { llamaShape } from "../common/llama-shape.ts";

export const phi3: Architecture = {
  name: "phi3",
  takes: { ...llamaShape, fraction: (fraction) => fraction !== 1, window: ["no layer", "all layers"] },
  huggingFace: llamaForm({
    className: "Phi3ForCausalLM",
    modelType: "phi3",
    eps: 1e-5,
    attentionBias: "none",
    partial: true,
    slides: "given",
    fused: "always",
    // Some defaults of the class do not fit: the window, the context, and pad tokens that are not in Foretoken's
    // vocabulary.
    ownJson: ({ position, contextLength, window }) => ({
      partial_rotary_factor: position.fraction ?? 1,
      original_max_position_embeddings: contextLength,
      sliding_window: window?.size ?? null,
    }),
  }),
  gguf: llamaGguf({ name: "phi3", fused: true }),
};
