/** The measured models, each with its batch size. Foretoken and its peers read the same description. */
import { presets } from "../../dist/config/presets.js";

/**
 * The reference model without dropout. All layers except q, k, v and the output layer have biases. The output layer has
 * its own weights.
 */
const book = { ...presets.book.model, dropout: 0 };

/**
 * All layers except the output layer have biases. The output layer shares the embedding's weights. GELU is computed
 * with tanh.
 */
const gpt2 = {
  ...book,
  bias: { qkv: true, projection: true, mlp: true },
  mlp: { kind: "gelu", approximate: "tanh", ratio: 4 },
  tieEmbeddings: true,
};

/**
 * If vocabSize is null, the tokens are the characters of the text. If vocabSize is a number, the tokens are random,
 * because the time does not depend on them.
 */
export const configs = {
  "nano-cpu": {
    model: { ...book, contextLength: 64, nLayer: 4, nHead: 4, nEmbd: 128 },
    batchSize: 12,
    vocabSize: null,
  },
  book: { model: book, batchSize: 32, vocabSize: null },
  baby: { model: { ...book, contextLength: 256, nLayer: 6, nHead: 6, nEmbd: 384 }, batchSize: 64, vocabSize: null },
  gpt2: {
    model: { ...gpt2, contextLength: 64, nLayer: 12, nHead: 12, nEmbd: 768 },
    batchSize: 4,
    vocabSize: 50_257,
  },
  /** A small configuration, for a test of the benchmarks. */
  tiny: { model: { ...gpt2, contextLength: 8, nLayer: 1, nHead: 2, nEmbd: 16 }, batchSize: 2, vocabSize: 40 },
};

/** Configurations measured by default. */
export const measured = ["nano-cpu", "book", "baby", "gpt2"];

/**
 * The whole configuration of a run: AdamW and clipping, as usual for such models.
 * @returns {import("../../dist/config/config.js").RunConfig}
 */
export const runConfig = (name) => {
  const { model, batchSize } = configs[name];
  /** @type {import("../../dist/config/config.js").RunConfig["train"]} */
  const train = {
    ...presets.book.train,
    batchSize,
    optimizer: { kind: "adamw", beta1: 0.9, beta2: 0.95, eps: 1e-8, weightDecay: 0.1 },
    maxGradNorm: 1,
  };
  return { ...presets.book, model, train };
};

/** Random tokens, always the same. */
export const randomTokens = (length, vocabSize) => {
  let state = 1;
  return Int32Array.from({ length }, () => {
    // A linear congruential generator with the constants of Numerical Recipes.
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * vocabSize);
  });
};

export const tokensPerStep = (name) => configs[name].batchSize * configs[name].model.contextLength;
