import type { Backend } from "../backend/backend.ts";
import { yieldToHost } from "../core/yield.ts";
import { generate } from "../generate/generate.ts";
import type { Model } from "../models/model.ts";
import type { AttentionMask } from "../ops/causal-attention.ts";
import { type LanguageModel, languageModel } from "../pretrained/language-model.ts";
import type { TrainerConfig } from "../train/config/config.ts";
import { presets } from "../train/config/presets.ts";
import { createTrainer, type Trainer } from "../train/steps/trainer.ts";
import type { LessonInput } from "./input.ts";
import type { Curve, Level, Piece } from "./piece.ts";

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
const compiledSize: LessonSize = {
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

/** The reference backend is for reading, not for speed. */
const referenceSize: LessonSize = {
  contextLength: 32,
  nLayer: 1,
  nHead: 2,
  nEmbd: 32,
  hidden: 88,
  batchSize: 8,
  steps: 60,
  written: 60,
  measured: 1024,
};

/** The size for a backend. */
export const lessonSize = ({ name }: Backend): LessonSize => (name === "reference" ? referenceSize : compiledSize);

/**
 * Qwen3's shape and Muon, like the preset `shakespeare`, but with its own values: people have read what the lessons show,
 * so it must not change with the preset. *generation* speaks of the head that shares the embeddings.
 */
const smallModelConfig = ({ trainIds, seed }: LessonInput, size: LessonSize, mask: AttentionMask): TrainerConfig => {
  const { nLayer, nHead, nEmbd, hidden, steps, batchSize } = size;
  return {
    model: {
      contextLength: Math.max(1, Math.min(size.contextLength, trainIds.length - 1)),
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
      ...presets.book.train,
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

/** A model in training, with the name of its curve. */
export interface Learner {
  readonly name: string;
  readonly config: TrainerConfig;
  readonly trainer: Trainer;
  /** The losses of its steps so far, nats per token. */
  readonly losses: number[];
}

/** A small model with fresh weights: the same weights with either mask. The caller closes its trainer. */
export const createLearner = (input: LessonInput, size: LessonSize, name: string, mask: AttentionMask): Learner => {
  const config = smallModelConfig(input, size, mask);
  const trainer = createTrainer(input.backend, config, input.tokenizer.vocabSize, input.trainIds);
  return { name, config, trainer, losses: [] };
};

export interface ChartOptions {
  /** Levels besides the untrained loss. */
  readonly compared?: readonly Level[];
  /** Lines of the plot, if there is little room. */
  readonly height?: number;
}

/** Charts of a training. */
const charts = 60;

const curveOf = ({ name, losses }: Learner): Curve => ({
  name,
  points: losses.map((loss, step) => ({ step, loss })),
});

/**
 * Trains all learners to their end, taking turns step by step on the same batches, and yields their curves as they grow.
 * @throws the signal's reason when it aborts.
 */
export async function* trainTogether(
  { tokenizer, signal }: LessonInput,
  id: string,
  learners: readonly Learner[],
  { compared = [], height }: ChartOptions = {},
): AsyncGenerator<Piece, void, undefined> {
  const total = Math.max(...learners.map(({ config }) => config.train.steps));
  const levels = [{ name: `ln ${tokenizer.vocabSize}`, loss: Math.log(tokenizer.vocabSize) }, ...compared];
  const every = Math.ceil(total / charts);
  for (let step = 0; step < total; step++) {
    for (const { trainer, losses } of learners) {
      signal.throwIfAborted();
      losses.push((await trainer.step(step)).loss);
      await yieldToHost();
    }
    const final = step === total - 1;
    if (final || step % every === 0) {
      yield {
        kind: "curves",
        id,
        curves: learners.map(curveOf),
        levels,
        steps: total,
        final,
        ...(height === undefined ? {} : { height }),
      };
    }
  }
}

/** The mean loss of the last tenth of the steps: the loss of one step is the loss of one batch. */
export const recentLoss = ({ losses }: Learner): number => {
  const recent = losses.slice(-Math.ceil(losses.length / 10));
  return recent.reduce((sum, loss) => sum + loss, 0) / recent.length;
};

/** The same weights with the other mask. They stay the first model's: close only that one. */
export const withMask = (model: Model, mask: AttentionMask): Model => ({ ...model, config: { ...model.config, mask } });

export interface Writing {
  readonly prompt: string;
  /** Tokens to write. */
  readonly length: number;
  readonly temperature: number;
  readonly topK: number;
}

/**
 * A model's text after the prompt, drawn under the lesson's seed.
 * @throws the signal's reason when it aborts.
 */
export const write = async (
  { tokenizer, seed, signal }: LessonInput,
  model: Model,
  { prompt, length, temperature, topK }: Writing,
): Promise<string> => {
  const lm: LanguageModel = languageModel(model, tokenizer);
  let text = "";
  for await (const event of generate(lm, { prompt, maxNewTokens: length, temperature, topK, seed, signal })) {
    if (event.type === "done") text = event.text;
    await yieldToHost();
  }
  signal.throwIfAborted();
  return text;
};
