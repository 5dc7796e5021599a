/** A very small run with all parts of a run: text, evaluations, samples, checkpoints, moments. */
import { randomOf } from "./random.mjs";

const words = ["the", "cat", "sat", "on", "a", "mat", "and", "ran"];

/** A text in a small artificial language. The text depends only on `name`. */
export const wordsText = (name, count) => {
  const random = randomOf("words", name);
  return Array.from({ length: count }, (_, i) => `${random.pick(words)}${i % 9 === 8 ? ".\n" : " "}`).join("");
};

/** Fields that differ from the preset "book". */
export const smallConfig = {
  model: { contextLength: 8, nLayer: 1, nHead: 2, nEmbd: 8, dropout: 0.1 },
  train: {
    steps: 12,
    batchSize: 2,
    gradAccumSteps: 1,
    learningRate: 1e-2,
    warmupSteps: 2,
    schedule: { kind: "cosine", minLearningRate: 1e-3 },
    optimizer: { kind: "adamw", beta1: 0.9, beta2: 0.99, eps: 1e-8, weightDecay: 0.1 },
    maxGradNorm: 1,
    dtype: "float32",
    seed: 1,
    evalInterval: 4,
    checkpointInterval: 4,
    patience: 0,
    sampleTokens: 3,
  },
};

/** The fields of a configuration as flags: `--model.nLayer 1 …`. */
export const configFlags = (config) => {
  const flags = [];
  const add = (path, value) => {
    if (typeof value === "object") for (const [key, inner] of Object.entries(value)) add([...path, key], inner);
    else flags.push(`--${path.join(".")}`, String(value));
  };
  add([], config);
  return flags;
};
