/**
 * OLMo 2 (OLMo team 2025): Llama with the norm after each branch. One norm covers the queries of all heads, and another
 * norm covers the keys of all heads. In llama.cpp, `olmo2` means both OLMo 2 and OLMo 3, with the windows of OLMo 3
 * (src/models/olmo2.cpp).
 */
import type { Architecture } from "../architecture.ts";
import { llamaGguf } from "../common/llama-gguf.ts";
import { llamaForm } from "../common/llama-json.ts";
import { hasAttentionBias } from "../common/llama-kind.ts";
import { llamaShape } from "../common/llama-shape.ts";

const shape = { qkNorm: "all", normPlacement: "after" } as const;

export const olmo2: Architecture = {
  name: "olmo2",
  takes: {
    ...llamaShape,
    scaling: "any",
    qkNorm: [shape.qkNorm],
    normPlacement: [shape.normPlacement],
    "bias.qkv": "any",
    "bias.projection": "any",
  },
  huggingFace: llamaForm({
    ...shape,
    className: "Olmo2ForCausalLM",
    modelType: "olmo2",
    eps: 1e-5,
    attentionBias: "asked",
    slides: "never",
    ownJson: (config) => ({ attention_bias: hasAttentionBias(config) }),
  }),
  gguf: llamaGguf({
    ...shape,
    name: "olmo2",
    windows: { fullEvery: 4 },
    lacks: ({ nEmbd, nHead, headDim = nEmbd / nHead, bias, tieEmbeddings }) => {
      const here = "for a GGUF file, because llama.cpp supports no other olmo2 model";
      if (headDim !== nEmbd / nHead)
        return { field: "headDim", must: `must be nEmbd / nHead ${here}`, got: `${headDim}` };
      if (bias.projection) return { field: "bias.projection", must: `must be false ${here}`, got: "true" };
      if (!tieEmbeddings) return null;
      const hint = "training a new run with --model.tieEmbeddings false";
      return { field: "tieEmbeddings", must: `must be false ${here}`, got: "true", hint };
    },
  }),
};
