import { expect, test } from "vitest";
import { presets } from "#foretoken/config/presets.js";
import { parseConfig } from "#foretoken/core/checks/config.js";
import { modelConfigSchema, rotaryDimOf } from "#foretoken/models/config.js";
import { layerOf } from "#foretoken/models/layers.js";
import { headsOf } from "#foretoken/nn/causal-self-attention.js";
import { rotaryAngles } from "#foretoken/ops/rotary.js";
import { groupedModel, qwen3Model } from "../support/models.ts";

const parse = (change: object) => parseConfig(modelConfigSchema, { ...qwen3Model, ...change }, "model");
const rope = { kind: "rope", theta: 1e4 };
const llama3 = { kind: "llama3", factor: 4, originalContext: 16 };

test("a model has as many heads of keys as of queries, nEmbd / nHead wide and rotated whole, unless told otherwise", () => {
  const config = parse({ nEmbd: 96, nHead: 4 });
  expect(headsOf(config)).toEqual({ heads: 4, keyHeads: 4, headDim: 24 });
  expect(rotaryDimOf(config, {})).toBe(24);
  expect(headsOf(parse({ nEmbd: 10, nHead: 4, nKvHead: 2, headDim: 6 }))).toEqual({
    heads: 4,
    keyHeads: 2,
    headDim: 6,
  });
});

test("the fraction that is proposed for another is one that can be", () => {
  let proposed = 0;
  for (let size = 2; size <= 130; size += 2) {
    for (const fraction of [0.01, 0.3, 0.5001, 0.6534, 0.99]) {
      const change = { headDim: size, position: { ...rope, fraction } };
      const { error } = modelConfigSchema.safeParse({ ...qwen3Model, ...change });
      const hint = /; try (\S+)$/u.exec(error?.issues[0]?.message ?? "")?.[1];
      if (hint === undefined) continue;
      proposed++;
      expect(
        () => parse({ ...change, position: { ...rope, fraction: Number(hint) } }),
        `${size}, ${fraction}`,
      ).not.toThrow();
    }
  }
  expect(proposed).toBeGreaterThan(50);
});

test.each([
  [{ nHead: 4, nKvHead: 3 }, "model.nKvHead: must divide nHead; got 3 and 4; try 2"],
  [{ nHead: 2 ** 32 - 1, nKvHead: 2 }, "model.nHead: must be at most 65536; got 4294967295"],
  [{ nHead: 4, nKvHead: 8 }, "model.nKvHead: must divide nHead; got 8 and 4; try 4"],
  [
    { headDim: 7 },
    "model.headDim: must give an even number of channels per head, since rope rotates pairs of channels; got 7; try 8",
  ],
  [
    { headDim: 8, position: { ...rope, fraction: 0.4 } },
    "model.position.fraction: must select a positive even number of channels per head, since rope rotates pairs of channels; got 0.4 of 8; try 0.5",
  ],
  [
    { headDim: 88, position: { ...rope, fraction: 0.6534 } },
    "must select a positive even number of channels per head, since rope rotates pairs of channels; got 0.6534 of 88; try 0.6591",
  ],
  [
    { headDim: 512, contextLength: 2 ** 20 },
    "model.contextLength: must be at most 134217728 divided by the channels that rope rotates in a head; got 1048576, and 512 channels; try 262144",
  ],
  [
    { contextLength: 64, position: { ...rope, scaling: { ...llama3, originalContext: 64 } } },
    "model.position.scaling.originalContext: must be below contextLength, since wavelengths are stretched to it; got 64 and 64; try 16",
  ],
  [
    { contextLength: 64, position: { ...rope, scaling: { ...llama3, lowFrequency: 4 } } },
    "model.position.scaling.highFrequency: must be greater than lowFrequency; got 4 and 4; try 16",
  ],
  [
    { qkNorm: false, qkNormWidth: "all" },
    "model.qkNormWidth: must be absent if qkNorm is false; got all with false; try qkNorm true",
  ],
  [
    { mask: "none", window: { size: 4 } },
    "model.window: must be absent if mask is not causal; got a window with none; try mask causal",
  ],
  [
    { qkNorm: false, position: { kind: "learned" }, window: { size: 4, theta: 100 } },
    "model.window.theta: must be absent if position.kind is not rope; got 100 with learned; try position.kind rope",
  ],
  [{ window: { size: 0 } }, "model.window.size: must be above 0; got 0"],
  [{ window: { size: 1.5 } }, "model.window.size: "],
  [{ window: {} }, "model.window.size: "],
  [{ window: { size: 4, fullEvery: 1 } }, "model.window.fullEvery: must be at least 2; got 1"],
  [{ window: { size: 4, theta: 1 } }, "model.window.theta: must be above 1; got 1"],
  [{ position: { ...rope, noneEvery: 1 } }, "model.position.noneEvery: must be at least 2; got 1"],
  [
    { qkNorm: false, position: { kind: "learned", noneEvery: 2 } },
    "model.position: noneEvery belongs to kind rope; got kind learned",
  ],
  [{ attentionScale: 0 }, "model.attentionScale: must be above 0; got 0"],
  [{ embeddingScale: -1 }, "model.embeddingScale: must be above 0; got -1"],
  [{ normPlacement: "behind" }, 'model.normPlacement: must be before, after or both; got "behind"; try before'],
  [{ mlp: { kind: "geglu" } }, "model.mlp.hidden: "],
  [{ mlp: { kind: "relu2", ratio: 0 } }, "model.mlp.ratio: must be above 0; got 0"],
])("what cannot be is refused: %j", (change, message) => {
  expect(() => parse(change)).toThrow(message);
});

// The functions `_compute_linear_scaling_rope_parameters` and `_compute_llama3_parameters` of transformers, rewritten
// from their definition.
test.each([
  ["none", { kind: "none" }, (frequency: number) => frequency],
  ["linear", { kind: "linear", factor: 8 }, (frequency: number) => frequency / 8],
  [
    "llama3",
    { kind: "llama3", factor: 8, lowFrequency: 1, highFrequency: 4, originalContext: 512 },
    (frequency: number) => {
      const wavelength = (2 * Math.PI) / frequency;
      if (wavelength < 512 / 4) return frequency;
      if (wavelength > 512 / 1) return frequency / 8;
      const smooth = (512 / wavelength - 1) / (4 - 1);
      return ((1 - smooth) * frequency) / 8 + smooth * frequency;
    },
  ],
] as const)("angles with scaling %s are those of its definition", (_, scaling, scaled) => {
  const [rotaryDim, theta] = [64, 10_000];
  const { cos, sin } = rotaryAngles(40, rotaryDim, theta, scaling);
  const kinds = new Set<number>();
  for (let i = 0; i < rotaryDim / 2; i++) {
    const frequency = theta ** ((-2 * i) / rotaryDim);
    kinds.add(Math.sign(scaled(frequency) - frequency) + Math.sign(scaled(frequency) - frequency / 8));
    const at = 39 * (rotaryDim / 2) + i;
    expect(cos[at]).toBeCloseTo(Math.cos(39 * scaled(frequency)), 12);
    expect(sin[at]).toBeCloseTo(Math.sin(39 * scaled(frequency)), 12);
  }
  // With Llama 3's scaling, short wavelengths do not change, and long wavelengths are stretched by the whole factor.
  // Wavelengths in between are stretched less.
  if (scaling.kind === "llama3") expect(kinds.size).toBe(3);
});

test("a field of a model that was saved before there were grouped queries may be missing", () => {
  const { nKvHead: _, headDim: __, ...before } = groupedModel;
  expect(headsOf(parseConfig(modelConfigSchema, { ...before, nEmbd: 40, position: rope }, "model"))).toMatchObject({
    keyHeads: 4,
    headDim: 10,
  });
});

test("a configuration without the fields of a layer stays the same text", () => {
  for (const { model } of [presets.book, presets.quick, presets.shakespeare, presets.gpt2]) {
    expect(JSON.stringify(parseConfig(modelConfigSchema, model, "model"))).toBe(JSON.stringify(model));
  }
});

test("a layer is resolved from the configuration: by default it sees all, is rotated, and has its norms before the branches", () => {
  expect(layerOf(parse({}), 0)).toEqual({
    ...{ window: null, scale: 1 / Math.sqrt(32), angles: "main", qkNorm: "head", norms: "before" },
    mlp: qwen3Model.mlp,
  });
  expect(layerOf(parse({ qkNorm: false, position: { kind: "learned" } }), 0)).toMatchObject({
    ...{ angles: "none", qkNorm: "none" },
  });
});

test("each n-th layer has no window or is not rotated, and angles follow the window", () => {
  const layers = (change: object) => {
    const config = parse({ nLayer: 6, ...change });
    return Array.from({ length: 6 }, (_, i) => layerOf(config, i));
  };
  const windows = layers({ window: { size: 8, fullEvery: 3, theta: 100 }, position: { ...rope, noneEvery: 4 } });
  expect(windows.map(({ window }) => window)).toEqual([8, 8, null, 8, 8, null]);
  expect(windows.map(({ angles }) => angles)).toEqual(["window", "window", "main", "none", "window", "main"]);
  const alike = layers({ window: { size: 8 }, attentionScale: 0.5, qkNormWidth: "all", normPlacement: "both" });
  expect(new Set(alike.map((layer) => JSON.stringify(layer))).size).toBe(1);
  expect(alike[5]).toMatchObject({ window: 8, scale: 0.5, angles: "main", qkNorm: "all", norms: "both" });
});
