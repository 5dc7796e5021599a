/**
 * Configuration of the small model that lessons train, in the terminal and on the page. This file contains only
 * numbers, so a page can import it.
 */

import type { TrainConfig, TrainerConfig } from "../config/config.ts";
import type { AttentionMask } from "../ops/causal-attention.ts";

/** Size of a lesson. This size limits the time that the reader waits. */
export interface LessonSize {
  readonly contextLength: number;
  readonly nLayer: number;
  readonly nHead: number;
  readonly nEmbd: number;
  readonly hidden: number;
  readonly batchSize: number;
  readonly steps: number;
  /** Number of tokens in a sample. */
  readonly written: number;
  /** Maximum number of held-out tokens in an evaluation. */
  readonly measured: number;
}

/** This size is large enough to learn to write words. */
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

/**
 * Maximum number of held-out characters in the repeated evaluations during training. This number gives two reliable
 * digits.
 */
export const mostMeasured = 6000;

/** Number of characters. A model memorises at least parts of a shorter text. */
export const shortText = 5000;

/** Minimum difference between held-out loss and training loss, in nats, at which a model has memorised its text. */
const byHeartGap = 0.4;

/** Whether a model has memorised its text. The losses are in nats per character. */
export const knowsByHeart = (training: number, heldOut: number): boolean => heldOut > training + byHeartGap;

export interface SmallModelOptions {
  /** Number of tokens in the training part. The training part must be longer than a window. */
  readonly trainTokens: number;
  readonly seed: number;
  readonly mask: AttentionMask;
}

/**
 * Configuration with Qwen3's shape and Muon, like the preset `shakespeare`. The values do not come from this preset,
 * because the numbers in lessons must not change with the preset. The lesson *generation* relies on tied embeddings.
 * @param base fields of training that the lesson does not change, from the preset `book`.
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
