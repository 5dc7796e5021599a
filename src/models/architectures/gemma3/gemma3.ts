/**
 * The text model of Gemma 3 (Gemma team 2025). Gemma 3 has a norm before and after each branch, GEGLU, and a norm of
 * the queries and keys of each head. Every sixth layer has full attention. All other layers have a window and a
 * different RoPE base. Token vectors are multiplied by √C.
 * Files of `transformers` store norm weights minus 1; GGUF files store the weights themselves. llama.cpp:
 * src/models/gemma3.cpp.
 */
import { z } from "zod";
import { parseConfig } from "../../../core/checks/config.ts";
import { lazy } from "../../../core/lazy.ts";
import type { ModelConfig } from "../../config.ts";
import type { Architecture, Lack } from "../architecture.ts";
import { llamaGguf } from "../common/llama-gguf.ts";
import { llamaForm } from "../common/llama-json.ts";
import { llamaShape } from "../common/llama-shape.ts";
import { layerTypes } from "../common/window-json.ts";

const shape = { qkNorm: "head", normPlacement: "both", mlp: "geglu" } as const;
const windows = { fullEvery: 6, theta: 10_000 } as const;

const ownFields = lazy(() => z.object({ query_pre_attn_scalar: z.number().positive().nullish() }));

const headDimOf = ({ nEmbd, nHead, headDim = nEmbd / nHead }: ModelConfig): number => headDim;

/** Attention scores are divided by the root of this number. Default: headDim. */
const scalarOf = (config: ModelConfig): number =>
  config.attentionScale === undefined ? headDimOf(config) : config.attentionScale ** -2;

/** Configuration fields that are computed from other fields. */
const withScales = (config: ModelConfig, scalar: number): ModelConfig => ({
  ...config,
  ...(scalar === headDimOf(config) ? {} : { attentionScale: scalar ** -0.5 }),
  embeddingScale: Math.sqrt(config.nEmbd),
});

/** Maximum relative error of a number after rounding in a file. */
const tolerance = 1e-6;
const areClose = (a: number, b: number): boolean => Math.abs(a - b) <= tolerance * Math.abs(b);

/** For the largest model, with 62 layers, llama.cpp divides by the root of C / H. */
const ggufScalar = (config: ModelConfig): number =>
  config.nLayer === 62 ? Math.floor(config.nEmbd / config.nHead) : headDimOf(config);

const lacks = (config: ModelConfig): Lack | null =>
  areClose(scalarOf(config), ggufScalar(config))
    ? null
    : {
        field: "attentionScale",
        must: `must be 1 / √${ggufScalar(config)} for a GGUF file, the value that llama.cpp uses`,
        got: String(config.attentionScale),
      };

export const gemma3: Architecture = {
  name: "gemma3",
  takes: {
    ...llamaShape,
    scaling: "any",
    qkNorm: [shape.qkNorm],
    normPlacement: [shape.normPlacement],
    mlp: [shape.mlp],
    approximate: ["tanh"],
    window: "any",
    // The class does not scale the wavelengths in layers with a window.
    "window.theta": (theta, { window, position }) =>
      window === undefined ||
      theta !== null ||
      (position.kind === "rope" && (position.scaling?.kind ?? "none") === "none"),
    // The class stores 1 / scale². The stored number must be a whole number.
    attentionScale: {
      takes: (scale) => areClose(scale ** -2, Math.round(scale ** -2)),
      instead: (scale) => {
        const whole = Math.max(1, Math.round(scale ** -2));
        return `attentionScale ${1 / Math.sqrt(whole)} (1/√${whole}) instead of ${scale}`;
      },
    },
    embeddingScale: {
      takes: (scale, { nEmbd }) => areClose(scale, Math.sqrt(nEmbd)),
      instead: (scale, { nEmbd }) => `embeddingScale ${Math.sqrt(nEmbd)} (√${nEmbd}) instead of ${scale}`,
    },
  },
  huggingFace: llamaForm({
    ...shape,
    className: "Gemma3ForCausalLM",
    modelType: "gemma3_text",
    eps: 1e-6,
    normOffset: 1,
    attentionBias: "none",
    slides: windows,
    window: 4096,
    headDim: 256,
    nKvHead: 4,
    theta: 1_000_000,
    windowTheta: windows.theta,
    tied: true,
    refused: { final_logit_softcapping: [], attn_logit_softcapping: [], use_bidirectional_attention: [false] },
    readOwn: (json, config, where) =>
      withScales(config, parseConfig(ownFields(), json, where).query_pre_attn_scalar ?? 256),
    ownJson: (config) => ({
      attention_bias: false,
      query_pre_attn_scalar: Math.round(scalarOf(config)),
      rope_local_base_freq: config.window?.theta ?? config.position.theta,
      // The class requires this field even if no layer has a window.
      sliding_window: config.window?.size ?? config.contextLength,
      layer_types: layerTypes(config),
    }),
  }),
  gguf: llamaGguf({
    ...shape,
    name: "gemma3",
    windows,
    readOwn: (config) => withScales(config, ggufScalar(config)),
    lacks,
  }),
};
