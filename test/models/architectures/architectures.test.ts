import { describe, expect, it } from "vitest";
import { architectureOf } from "#foretoken/models/architectures/architecture-of.js";
import { architectures } from "#foretoken/models/architectures/list.js";
import { readHuggingFaceConfig } from "#foretoken/models/architectures/read-config.js";
import { misfitsOf } from "#foretoken/models/architectures/traits.js";
import { type ModelConfig, modelConfigSchema } from "#foretoken/models/config.js";
import { architectureConfigs } from "../../support/architectures.ts";

/** A copy of an object without its undefined fields. */
const plain = (config: ModelConfig): ModelConfig => JSON.parse(JSON.stringify(config));

/** Changes of one field of a configuration. Each changed value occurs in at least one architecture. */
const variations: readonly Partial<ModelConfig>[] = [
  {},
  { window: undefined },
  { window: { size: 3 } },
  { window: { size: 3, fullEvery: 2 } },
  { window: { size: 3, fullEvery: 2, theta: 100 } },
  { qkNorm: false, qkNormWidth: undefined },
  { qkNorm: true, qkNormWidth: "head" },
  { qkNorm: true, qkNormWidth: "all" },
  ...([undefined, "before", "after", "both"] as const).map((normPlacement) => ({ normPlacement })),
  ...[0, 1, 2, 3, 4, 5, 6, 7].map((bits) => ({
    bias: { qkv: (bits & 1) !== 0, projection: (bits & 2) !== 0, mlp: (bits & 4) !== 0 },
  })),
  ...[{}, { fraction: 0.5 }, { noneEvery: 2 }, { scaling: { kind: "linear", factor: 2 } as const }].map((rest) => ({
    position: { kind: "rope", theta: 50, ...rest } as const,
  })),
  { mlp: { kind: "swiglu", hidden: 8 } },
  { mlp: { kind: "geglu", hidden: 8, approximate: "tanh" } },
  { mlp: { kind: "relu2", ratio: 2 } },
  { attentionScale: 0.5 },
  { embeddingScale: undefined },
  { embeddingScale: Math.sqrt(32) },
];

describe("architectures", () => {
  it("have names, classes and types of models of their own", () => {
    for (const of of ["className", "modelType"] as const) {
      expect(new Set(architectures.map(({ huggingFace }) => huggingFace[of])).size).toBe(architectures.length);
    }
    expect(new Set(architectures.map(({ name }) => name)).size).toBe(architectures.length);
  });

  it.each(architectureConfigs)("have a place for %s with %s, and for no configuration two", (name, _, config) => {
    expect(modelConfigSchema.parse(plain(config))).toEqual(plain(config));
    expect(architectureOf(config).name).toBe(name);
    for (const first of variations) {
      for (const second of variations) {
        const other = { ...config, ...first, ...second };
        const taken = architectures.filter(({ takes }) => misfitsOf(takes, other).length === 0);
        expect(taken.length, `${JSON.stringify(other)}: ${taken.map((one) => one.name)}`).toBeLessThanOrEqual(1);
      }
    }
  });

  it.each(architectureConfigs)("read the config.json of %s with %s that they write", (name, _, config) => {
    const { huggingFace } = architectureOf(config);
    const json = JSON.parse(JSON.stringify(huggingFace.configJson(config, 61)));
    const read = readHuggingFaceConfig(json, "config.json");
    // No class of transformers has a bias on only one of attention's layers, or a field for projections that begin at
    // zero.
    const always = { qkv: true, projection: true, mlp: true };
    expect(read).toEqual({ vocabSize: 61, config: plain(name === "gpt2" ? { ...config, bias: always } : config) });
  });

  const [, , gemma3] = architectureConfigs.find(([name]) => name === "gemma3") ?? [];
  const gelu = { mlp: { kind: "gelu", approximate: "none", ratio: 4 } } as const;
  const own = { rope_type: "default", rope_theta: 7 };

  /**
   * The model that an architecture's config.json describes. The config.json is from the architecture's first
   * configuration, with changed fields.
   */
  const readWith = (name: string, fields: object): ModelConfig => {
    const [, , config] = architectureConfigs.find(([one]) => one === name) ?? [];
    const json = architectureOf(config as ModelConfig).huggingFace.configJson(config as ModelConfig, 61);
    return readHuggingFaceConfig(JSON.parse(JSON.stringify({ ...json, ...fields })), "config.json").config;
  };

  it.each([
    ["gemma3", { rope_parameters: { full_attention: 5 } }, /rope_parameters\.full_attention: must be an object; got 5/],
    ["gemma3", { rope_parameters: { full_attention: null, sliding_attention: own } }, /full_attention: .*; got null/],
    ["gemma3", { rope_parameters: { full_attention: own, sliding_attention: 5 } }, /sliding_attention: .*; got 5/],
    ["olmo3", { rope_parameters: { full_attention: own, sliding_attention: null } }, /sliding_attention: .*; got null/],
    [
      "smollm3",
      { layer_types: Array(4).fill("chunked") },
      /layer_types: must be full_attention in every.*; got "chunked"/,
    ],
    ["smollm3", { layer_types: Array(4).fill("sliding_attention") }, /layer_types: must be full_attention/],
    [
      "smollm3",
      { layer_types: Array(3).fill("full_attention") },
      /layer_types: must have an entry for each of 4 layers; got 3/,
    ],
    ["smollm3", { no_rope_layers: [1, 1, 1, 0, 1] }, /no_rope_layers: must have a number for each of 4 layers; got 5/],
  ] as const)("refuse fields of layers that they cannot read by name: %s, %j", (name, fields, message) => {
    expect(() => readWith(name, fields)).toThrow(message);
  });

  it("have the class's own base for layers with a window where the file has one for the others alone", () => {
    const fields = { rope_parameters: { full_attention: own }, rope_local_base_freq: undefined };
    expect(readWith("gemma3", fields)).toMatchObject({ position: { theta: 7 }, window: { theta: 10_000 } });
  });

  it.each([
    [
      { normPlacement: "after" },
      /got rope, nKvHead, normPlacement, rmsnorm, swiglu, no biases; try normPlacement before, for llama; or qkNorm true with qkNormWidth all, for olmo2$/,
    ],
    [{ embeddingScale: 2 }, /got rope, nKvHead, embeddingScale, .*; try embeddingScale 1, for llama/],
    [
      { mlp: { kind: "relu2", ratio: 2 } },
      /got rope, nKvHead, rmsnorm, relu2, no biases; try mlp\.kind swiglu, for llama$/,
    ],
    [{ window: { size: 3, fullEvery: 2 } }, /got rope, nKvHead, window, rmsnorm.*; try no window, for llama; or /],
    [
      { ...gemma3, embeddingScale: 5.65 },
      /; try embeddingScale 5\.656854249492381 \(√32\) instead of 5\.65, for gemma3$/,
    ],
    [
      { ...gemma3, attentionScale: 0.3 },
      /; try attentionScale 0\.30151134457776363 \(1\/√11\) instead of 0\.3, for gemma3$/,
    ],
    [
      {
        position: { kind: "learned" },
        norm: { kind: "layernorm", eps: 1e-5 },
        nKvHead: undefined,
        ...gelu,
        window: { size: 8 },
      },
      /; try no window, for gpt2$/,
    ],
  ] as const)("refuse %j, and say what the nearest has", (change, message) => {
    const [, , config] = architectureConfigs.find(([name]) => name === "llama") ?? [];
    expect(() => architectureOf({ ...(config as ModelConfig), ...change })).toThrow(message);
  });
});
