/** The small model of the lessons, of the terminal and of the page alike: numbers alone, so that a page can import them. */

import type { TrainConfig, TrainerConfig } from "../config/config.ts";
import type { AttentionMask } from "../ops/causal-attention.ts";

/** The size of a lesson: as much as its reader can wait for. */
export interface LessonSize {
  readonly contextLength: number;
  readonly nLayer: number;
  readonly nHead: number;
  readonly nEmbd: number;
  readonly hidden: number;
  readonly batchSize: number;
  readonly steps: number;
  /** Tokens of a sample. */
  readonly written: number;
  /** Most tokens of the held-out text in an evaluation. */
  readonly measured: number;
}

/** Enough to write words. */
export const compiledSize: LessonSize = {
  contextLength: 64,
  nLayer: 2,
  nHead: 4,
  nEmbd: 64,
  hidden: 176,
  batchSize: 16,
  steps: 400,
  written: 600,
  measured: Number.POSITIVE_INFINITY,
};

/** Most held-out characters that are measured again and again in a training: enough for two digits. */
export const mostMeasured = 6000;

/** A text of fewer characters is learned by heart, in parts at least. */
export const shortText = 5000;

/** Nats by which the loss on held-out text is above the loss in training where a model has learned its text by heart. */
const byHeartGap = 0.4;

/** Whether a model knows its text by heart: both losses in nats per character. */
export const knowsByHeart = (training: number, heldOut: number): boolean => heldOut > training + byHeartGap;

export interface SmallModelOptions {
  /** Tokens of the training part: a window must fit into it. */
  readonly trainTokens: number;
  readonly seed: number;
  readonly mask: AttentionMask;
}

/**
 * Qwen3's shape and Muon, like the preset `shakespeare`, but with its own values: people have read what the lessons show,
 * so it must not change with the preset. *generation* speaks of the head that shares the embeddings.
 * @param base fields of training that the lesson leaves as they are: those of the preset `book`.
 */
export const smallModelConfig = (
  size: LessonSize,
  { trainTokens, seed, mask }: SmallModelOptions,
  base: TrainConfig,
): TrainerConfig => {
  const { nLayer, nHead, nEmbd, hidden, steps, batchSize } = size;
  return {
    model: {
      contextLength: Math.max(1, Math.min(size.contextLength, trainTokens - 1)),
      nLayer,
      nHead,
      nEmbd,
      position: { kind: "rope", theta: 10_000 },
      qkNorm: true,
      mask,
      norm: { kind: "rmsnorm", eps: 1e-6 },
      mlp: { kind: "swiglu", hidden },
      bias: { qkv: false, projection: false, mlp: false },
      tieEmbeddings: true,
      dropout: 0,
      initStd: 0.02,
      zeroProjections: true,
    },
    train: {
      ...base,
      steps,
      batchSize,
      seed,
      learningRate: 0.02,
      warmupSteps: 10,
      schedule: { kind: "linear", minLearningRate: 0 },
      optimizer: {
        kind: "muon",
        momentum: 0.95,
        adamLearningRateRatio: 0.15,
        beta1: 0.9,
        beta2: 0.95,
        eps: 1e-10,
        weightDecay: 0.1,
      },
      maxGradNorm: 1,
    },
  };
};
