/** Small model configurations for each architecture. */
import type { ModelConfig } from "#foretoken/models/config.js";
import { bookModel, groupedModel, qwen3Model } from "./models.ts";

const sizes = { contextLength: 16, nLayer: 4, nHead: 4, nEmbd: 32, dropout: 0, zeroProjections: false } as const;
const rope = { kind: "rope", theta: 500 } as const;
const llama: ModelConfig = {
  ...{ ...qwen3Model, ...sizes, nKvHead: 2, qkNorm: false, position: rope },
  mlp: { kind: "swiglu", hidden: 24 },
};
const olmo2: ModelConfig = { ...llama, qkNorm: true, qkNormWidth: "all", normPlacement: "after" };
const scaled = { ...rope, scaling: { kind: "linear", factor: 2 } } as const;
const gemma3: ModelConfig = {
  ...{ ...llama, headDim: 12, qkNorm: true, normPlacement: "both", tieEmbeddings: true },
  window: { size: 5, fullEvery: 3, theta: 100 },
  mlp: { kind: "geglu", hidden: 24, approximate: "tanh" },
  embeddingScale: Math.sqrt(32),
};
const bias = (qkv: boolean, projection: boolean, mlp: boolean) => ({ bias: { qkv, projection, mlp } });

/** Configurations by architecture. Some architectures have several configurations. */
export const architectureConfigs: readonly (readonly [name: string, what: string, config: ModelConfig])[] = [
  ["gpt2", "exact GELU", { ...bookModel, ...sizes }],
  [
    "gpt2",
    "tanh",
    { ...bookModel, ...sizes, mlp: { kind: "gelu", approximate: "tanh", ratio: 2 }, tieEmbeddings: true },
  ],
  ["llama", "grouped queries", llama],
  ["llama", "biases", { ...llama, ...bias(true, true, true) }],
  ["llama", "scaled wavelengths", { ...groupedModel, ...sizes, contextLength: 64, mlp: llama.mlp }],
  ["mistral", "a window", { ...llama, window: { size: 5 } }],
  ["qwen2", "biases", { ...llama, ...bias(true, false, false) }],
  ["qwen2", "windows", { ...llama, ...bias(true, false, false), window: { size: 5, fullEvery: 2 } }],
  ["qwen3", "wide heads", { ...llama, qkNorm: true, headDim: 16 }],
  ["qwen3", "windows", { ...llama, qkNorm: true, ...bias(true, true, false), window: { size: 5 } }],
  ["phi3", "a part of a head", { ...llama, position: { ...rope, fraction: 0.5 } }],
  ["phi3", "a window", { ...llama, position: { ...rope, fraction: 0.5 }, window: { size: 5 } }],
  ["olmo2", "norms behind the branches", olmo2],
  ["olmo2", "biases", { ...olmo2, ...bias(true, true, false), nKvHead: undefined }],
  ["olmo3", "windows", { ...olmo2, window: { size: 5, fullEvery: 4 } }],
  ["olmo3", "scaled wavelengths", { ...olmo2, position: scaled, window: { size: 5, fullEvery: 2, theta: 500 } }],
  ["smollm3", "layers that are not rotated", { ...llama, position: { ...rope, noneEvery: 4 } }],
  ["smollm3", "biases", { ...llama, ...bias(true, true, true), position: { ...rope, noneEvery: 2 } }],
  ["gemma3", "windows", gemma3],
  ["gemma3", "another scale", { ...gemma3, attentionScale: 1 / 4, tieEmbeddings: false }],
  ["gemma3", "scaled wavelengths", { ...gemma3, position: scaled }],
  ["gemma3", "no windows", { ...gemma3, window: undefined }],
];
