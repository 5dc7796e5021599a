/** OLMo 3 (OLMo team 2025): OLMo 2 with a window in all layers except every fourth layer. */
import type { Architecture } from "../architecture.ts";
import { llamaForm } from "../common/llama-json.ts";
import { hasAttentionBias } from "../common/llama-kind.ts";
import { pairJson } from "../common/rope-json.ts";
import { layerTypes } from "../common/window-json.ts";
import { olmo2 } from "../olmo2/olmo2.ts";

const shape = { qkNorm: "all", normPlacement: "after" } as const;

export const olmo3: Architecture = {
  name: "olmo3",
  takes: {
    ...olmo2.takes,
    window: ["some layers", "all layers"],
    // The class does not scale the wavelengths of layers with a window.
    "window.theta": (theta, { position }) =>
      theta === null ? position.kind === "rope" && (position.scaling?.kind ?? "none") === "none" : true,
  },
  huggingFace: llamaForm({
    ...shape,
    className: "Olmo3ForCausalLM",
    modelType: "olmo3",
    eps: 1e-5,
    attentionBias: "asked",
    slides: { fullEvery: 4 },
    window: 4096,
    theta: 500_000,
    windowTheta: "same",
    ownJson: (config) => ({
      attention_bias: hasAttentionBias(config),
      ...pairJson(config),
      sliding_window: config.window?.size ?? null,
      layer_types: layerTypes(config),
    }),
  }),
  gguf: olmo2.gguf,
};
