/** SmolLM3 (Bakouch et al. 2025): Llama, but every fourth layer has no rotary positions (NoPE). */
import { z } from "zod";
import { parseConfig } from "../../../core/checks/config.ts";
import { lazy } from "../../../core/lazy.ts";
import type { ModelConfig } from "../../config.ts";
import { layerOf } from "../../layers.ts";
import type { Architecture, Lack } from "../architecture.ts";
import { count, fail, optional } from "../common/fields.ts";
import { llamaGguf } from "../common/llama-gguf.ts";
import { llamaForm } from "../common/llama-json.ts";
import { hasAttentionBias } from "../common/llama-kind.ts";
import { llamaShape } from "../common/llama-shape.ts";
import { periodOf } from "../common/periods.ts";

/** Default n for "every n-th layer is not rotated". llama.cpp supports only this n (src/models/smollm3.cpp). */
const usual = 4;

const ownFields = lazy(() =>
  z.object({
    no_rope_layers: optional(z.array(z.union([z.int(), z.boolean()]))),
    no_rope_layer_interval: optional(count),
    layer_types: optional(z.array(z.string())),
  }),
);

/** Throws if `layer_types` lists a layer with a window. `use_sliding_window` is checked elsewhere. */
const checkLayerTypes = (json: object, nLayer: number, where: string): void => {
  const { layer_types: types } = parseConfig(ownFields(), json, where);
  if (types === undefined || types === null) return;
  const other = types.find((type) => type !== "full_attention");
  if (other !== undefined) fail(where, "layer_types", "must be full_attention in every layer", other);
  if (types.length !== nLayer)
    fail(where, "layer_types", `must have an entry for each of ${nLayer} layers`, types.length);
};

/**
 * Returns n if every n-th layer is not rotated, or null if all layers are rotated. A list in the file contains 1 for
 * each rotated layer.
 */
const readEvery = (json: object, nLayer: number, where: string): number | null => {
  const { no_rope_layers: list, no_rope_layer_interval: interval } = parseConfig(ownFields(), json, where);
  if (list === undefined || list === null) {
    const every = interval ?? usual;
    if (every === 1) fail(where, "no_rope_layer_interval", "must be at least 2", every);
    return every > nLayer ? null : every;
  }
  if (list.length !== nLayer)
    fail(where, "no_rope_layers", `must have a number for each of ${nLayer} layers`, list.length);
  const marks = list.map((rotated) => !rotated);
  return (
    periodOf(marks) ??
    (marks.includes(true)
      ? fail(where, "no_rope_layers", "must be 0 in every n-th layer (n ≥ 2) and 1 in all other layers", list)
      : null)
  );
};

const withNoneEvery = (config: ModelConfig, noneEvery: number | null): ModelConfig =>
  noneEvery === null || config.position.kind !== "rope"
    ? config
    : { ...config, position: { ...config.position, noneEvery } };

const isRotated = (config: ModelConfig, i: number): boolean => layerOf(config, i).angles !== "none";

const layersOf = ({ nLayer }: ModelConfig): readonly number[] => Array.from({ length: nLayer }, (_, i) => i);

/**
 * Configurations that llama.cpp does not support: layers without rotation other than every fourth layer, and biases
 * outside Q, K and V.
 */
const lacks = (config: ModelConfig): Lack | null => {
  const { position, bias } = config;
  if (layersOf(config).some((i) => isRotated(config, i) !== ((i + 1) % usual !== 0))) {
    const got = position.kind === "rope" ? String(position.noneEvery) : position.kind;
    return {
      field: "position.noneEvery",
      must: `must be ${usual} for a GGUF file, the value that llama.cpp uses`,
      got,
    };
  }
  const biased = (["projection", "mlp"] as const).find((layer) => bias[layer]);
  if (biased === undefined) return null;
  return {
    field: `bias.${biased}`,
    must: "must be false for a GGUF file: llama.cpp does not support this bias",
    got: "true",
  };
};

export const smollm3: Architecture = {
  name: "smollm3",
  takes: {
    ...llamaShape,
    scaling: "any",
    noneEvery: (every) => every !== null,
    "bias.qkv": "any",
    "bias.projection": "any",
    "bias.mlp": "any",
  },
  huggingFace: llamaForm({
    className: "SmolLM3ForCausalLM",
    modelType: "smollm3",
    eps: 1e-6,
    attentionBias: "asked",
    mlpBias: true,
    slides: "never",
    nKvHead: 4,
    theta: 2_000_000,
    tied: true,
    refused: { use_sliding_window: [false] },
    readOwn: (json, config, where) => {
      checkLayerTypes(json, config.nLayer, where);
      return withNoneEvery(config, readEvery(json, config.nLayer, where));
    },
    ownJson: (config) => ({
      attention_bias: hasAttentionBias(config),
      mlp_bias: config.bias.mlp,
      use_sliding_window: false,
      no_rope_layers: layersOf(config).map((i) => (isRotated(config, i) ? 1 : 0)),
      no_rope_layer_interval: config.position.noneEvery,
    }),
  }),
  gguf: llamaGguf({
    name: "smollm3",
    interleaved: true,
    readOwn: (config) => withNoneEvery(config, config.nLayer < usual ? null : usual),
    lacks,
  }),
};
