import { defaultTokenizer } from "../tokenizer/config.ts";
import type { RunConfig } from "./config.ts";

/**
 * The small GPT of a course on building a language model: 824,832 parameters with a vocabulary of 65 characters. Q, K,
 * V and the head have no bias, the head is untied, dropout is 0.1, and Adam has a constant learning rate of 3e-4.
 */
const book: RunConfig = {
  tokenizer: defaultTokenizer,
  model: {
    contextLength: 128,
    nLayer: 4,
    nHead: 4,
    nEmbd: 128,
    position: { kind: "learned" },
    qkNorm: false,
    mask: "causal",
    norm: { kind: "layernorm", eps: 1e-5 },
    mlp: { kind: "gelu", approximate: "none", ratio: 4 },
    bias: { qkv: false, projection: true, mlp: true },
    tieEmbeddings: false,
    dropout: 0.1,
    initStd: 0.02,
    zeroProjections: false,
  },
  train: {
    steps: 3000,
    batchSize: 32,
    gradAccumSteps: 1,
    learningRate: 3e-4,
    warmupSteps: 0,
    schedule: { kind: "constant" },
    optimizer: { kind: "adam", beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0 },
    maxGradNorm: 0,
    dtype: "auto",
    seed: 1,
    evalInterval: 250,
    checkpointInterval: 500,
    patience: 0,
    sampleTokens: 0,
    onNonfinite: "stop",
    maxLossRatio: 10,
    maxGradNormRatio: 1000,
  },
};

/**
 * A first model in at most about two minutes on two cores, also with WebAssembly. The depth and the context are half
 * the depth and context of `book`. This makes a step cheap, so that a small model gets the many steps that it needs to
 * learn words.
 */
const quick: RunConfig = {
  tokenizer: defaultTokenizer,
  model: { ...book.model, nLayer: 2, contextLength: 64, dropout: 0 },
  train: {
    ...book.train,
    steps: 1600,
    batchSize: 16,
    learningRate: 3e-3,
    warmupSteps: 50,
    schedule: { kind: "cosine", minLearningRate: 3e-4 },
    optimizer: { kind: "adamw", beta1: 0.9, beta2: 0.99, eps: 1e-8, weightDecay: 0.1 },
    maxGradNorm: 1,
    evalInterval: 400,
    checkpointInterval: 400,
    sampleTokens: 80,
  },
};

/**
 * The best known recipe at this size (docs/recipe.md): Qwen3's shape, Muon, a context of 256. `npm start` trains it for
 * its 1,000 steps; `--steps 3000` improves it further.
 */
const shakespeare: RunConfig = {
  tokenizer: defaultTokenizer,
  model: {
    contextLength: 256,
    nLayer: 4,
    nHead: 4,
    nEmbd: 128,
    position: { kind: "rope", theta: 10_000 },
    qkNorm: true,
    mask: "causal",
    norm: { kind: "rmsnorm", eps: 1e-6 },
    mlp: { kind: "swiglu", hidden: 344 },
    bias: { qkv: false, projection: false, mlp: false },
    tieEmbeddings: true,
    dropout: 0,
    initStd: 0.02,
    zeroProjections: true,
  },
  train: {
    ...book.train,
    steps: 1000,
    batchSize: 8,
    learningRate: 0.012,
    warmupSteps: 10,
    schedule: { kind: "linear", minLearningRate: 0 },
    optimizer: {
      kind: "muon",
      momentum: 0.95,
      adamLearningRateRatio: 0.25,
      beta1: 0.9,
      beta2: 0.95,
      eps: 1e-10,
      weightDecay: 0.1,
    },
    maxGradNorm: 1,
    evalInterval: 200,
    checkpointInterval: 200,
    sampleTokens: 200,
  },
};

/**
 * GPT-2's smallest shape (Radford et al. 2019): 124 million parameters with its vocabulary of 50,257. It is for loading
 * GPT-2's weights and for comparisons. Training it from scratch needs an accelerator, or takes days.
 */
const gpt2: RunConfig = {
  tokenizer: defaultTokenizer,
  model: {
    ...book.model,
    contextLength: 1024,
    nLayer: 12,
    nHead: 12,
    nEmbd: 768,
    mlp: { kind: "gelu", approximate: "tanh", ratio: 4 },
    bias: { qkv: true, projection: true, mlp: true },
    tieEmbeddings: true,
    dropout: 0,
  },
  train: {
    ...quick.train,
    steps: 1000,
    batchSize: 4,
    gradAccumSteps: 4,
    learningRate: 6e-4,
    warmupSteps: 100,
    schedule: { kind: "cosine", minLearningRate: 6e-5 },
    optimizer: { kind: "adamw", beta1: 0.9, beta2: 0.95, eps: 1e-8, weightDecay: 0.1 },
    evalInterval: 250,
    checkpointInterval: 250,
  },
};

/**
 * Llama's shape at a size for a CPU: grouped queries, a context of 256, 9.4 million parameters plus 384 per vocabulary
 * token.
 */
const llamaSmall: RunConfig = {
  tokenizer: defaultTokenizer,
  model: {
    ...shakespeare.model,
    nLayer: 6,
    nHead: 6,
    nKvHead: 2,
    nEmbd: 384,
    qkNorm: false,
    norm: { kind: "rmsnorm", eps: 1e-5 },
    mlp: { kind: "swiglu", hidden: 1024 },
    zeroProjections: false,
  },
  train: {
    ...gpt2.train,
    steps: 2000,
    batchSize: 16,
    gradAccumSteps: 1,
    learningRate: 1e-3,
    schedule: { kind: "cosine", minLearningRate: 1e-4 },
    sampleTokens: 200,
  },
};

/** Complete configurations by name. A `--config` file and flags change single fields. */
export const presets = { book, quick, shakespeare, gpt2, "llama-small": llamaSmall } as const satisfies Record<
  string,
  RunConfig
>;
/** Name of a preset. */
export type PresetName = keyof typeof presets;
/** Default preset of `train`. */
export const defaultPreset: PresetName = "shakespeare";
export const presetNames = Object.keys(presets) as readonly PresetName[];
