import { generate } from "../generate/generate.ts";
import type { Model } from "../models/model.ts";
import type { AttentionMask } from "../ops/causal-attention.ts";
import { type LanguageModel, languageModel } from "../pretrained/language-model.ts";
import type { RunConfig } from "../train/config.ts";
import { presets } from "../train/presets.ts";
import { createTrainer, type Trainer } from "../train/trainer.ts";
import { yieldToHost } from "../train/yield.ts";
import type { LessonInput } from "./input.ts";
import type { Curve, Piece } from "./piece.ts";

/** Enough to write words. The reference backend is meant to be read, not to be fast. */
const stepsOn = { compiled: 400, reference: 12 };

/** The shape and the recipe of the preset `shakespeare`, small enough to learn while its reader waits. */
export const smallModelConfig = (
  { backend, trainIds, seed }: Pick<LessonInput, "backend" | "trainIds" | "seed">,
  mask: AttentionMask,
): RunConfig => ({
  model: {
    ...presets.shakespeare.model,
    contextLength: Math.max(1, Math.min(64, trainIds.length - 1)),
    nLayer: 2,
    nHead: 4,
    nEmbd: 64,
    mlp: { kind: "swiglu", hidden: 176 },
    mask,
  },
  train: {
    ...presets.shakespeare.train,
    steps: backend.name === "reference" ? stepsOn.reference : stepsOn.compiled,
    batchSize: 16,
    seed,
  },
});

/** A model that learns, under the name that its curve has. */
export interface Learner {
  readonly name: string;
  readonly config: RunConfig;
  readonly trainer: Trainer;
  /** The losses of its steps so far, nats per token. */
  readonly losses: number[];
}

/** A small model with freshly drawn weights: the same ones with either mask. The caller closes its trainer. */
export const createLearner = (input: LessonInput, name: string, mask: AttentionMask): Learner => {
  const config = smallModelConfig(input, mask);
  const trainer = createTrainer(input.backend, config, input.tokenizer.vocabSize, input.trainIds);
  return { name, config, trainer, losses: [] };
};

/** Charts that are shown while a training runs. */
const charts = 60;

const curveOf = ({ name, losses }: Learner): Curve => ({
  name,
  points: losses.map((loss, step) => ({ step, loss })),
});

/**
 * Trains all learners to their end, in turn step by step on the same batches, and yields their curves as they grow.
 * @throws the signal's reason when it aborts.
 */
export async function* trainTogether(
  { tokenizer, signal }: LessonInput,
  id: string,
  learners: readonly Learner[],
): AsyncGenerator<Piece, void, undefined> {
  const total = Math.max(...learners.map(({ config }) => config.train.steps));
  const levels = [{ name: `ln ${tokenizer.vocabSize}`, loss: Math.log(tokenizer.vocabSize) }];
  const every = Math.ceil(total / charts);
  for (let step = 0; step < total; step++) {
    for (const { trainer, losses } of learners) {
      signal.throwIfAborted();
      losses.push((await trainer.step(step)).loss);
      await yieldToHost();
    }
    const final = step === total - 1;
    if (final || step % every === 0) {
      yield { kind: "curves", id, curves: learners.map(curveOf), levels, steps: total, final };
    }
  }
}

/** The mean loss of the last tenth of the steps: one step's loss is that of one batch. */
export const recentLoss = ({ losses }: Learner): number => {
  const recent = losses.slice(-Math.ceil(losses.length / 10));
  return recent.reduce((sum, loss) => sum + loss, 0) / recent.length;
};

/** The same weights behind the other mask. They stay the first model's: close that one only. */
export const withMask = (model: Model, mask: AttentionMask): Model => ({ ...model, config: { ...model.config, mask } });

export interface Writing {
  readonly prompt: string;
  /** Tokens to write. */
  readonly length: number;
  readonly temperature: number;
  readonly topK: number;
}

/**
 * What a model writes after the prompt, drawn under the lesson's seed.
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
