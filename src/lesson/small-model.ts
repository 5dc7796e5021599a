import type { Backend } from "../backend/backend.ts";
import type { TrainerConfig } from "../config/config.ts";
import { presets } from "../config/presets.ts";
import { yieldToHost } from "../core/system/yield.ts";
import { evaluate, type MeasuredTokens } from "../evaluate/evaluate.ts";
import { generate } from "../generate/generate.ts";
import type { Model } from "../models/model.ts";
import type { AttentionMask } from "../ops/causal-attention.ts";
import { type LanguageModel, languageModel } from "../pretrained/model/language-model.ts";
import { createTrainer, type Trainer } from "../trainer/trainer.ts";
import type { LessonInput } from "./input.ts";
import type { Curve, Level, Piece } from "./piece.ts";
import { compiledSize, type LessonSize, smallModelConfig } from "./small-model-config.ts";

export type { LessonSize } from "./small-model-config.ts";

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

/** A model in training, with the name of its curve. */
export interface Learner {
  readonly name: string;
  readonly config: TrainerConfig;
  readonly trainer: Trainer;
  /** The losses of its steps so far, nats per token. */
  readonly losses: number[];
  /** Its losses on held-out text so far, after so many steps, if that is measured. */
  readonly measured: Point[];
}

type Point = Curve["points"][number];

/** A small model with fresh weights: the same weights with either mask. The caller closes its trainer. */
export const createLearner = (input: LessonInput, size: LessonSize, name: string, mask: AttentionMask): Learner => {
  const { trainIds, seed } = input;
  const config = smallModelConfig(size, { trainTokens: trainIds.length, seed, mask }, presets.book.train);
  const trainer = createTrainer(input.backend, config, input.tokenizer.vocabSize, input.trainIds);
  return { name, config, trainer, losses: [], measured: [] };
};

export interface ChartOptions {
  /** Levels besides the untrained loss. */
  readonly compared?: readonly Level[];
  /** Lines of the plot, if there is little room. */
  readonly height?: number;
  /** The curves are losses on this text, measured on the way; else they are losses of the steps. */
  readonly heldOut?: MeasuredTokens;
}

/** Charts of a training, and of one that is measured on held-out text. */
const charts = { ofSteps: 60, measured: 20 };

const curveOf = ({ name, losses, measured }: Learner): Curve =>
  measured.length > 0
    ? { name, points: [...measured], measured: true }
    : { name, points: losses.map((loss, step) => ({ step, loss })) };

/**
 * Trains all learners to their end, taking turns step by step on the same batches, and yields their curves as they grow.
 * @throws the signal's reason when it aborts.
 */
export async function* trainTogether(
  { tokenizer, signal }: LessonInput,
  id: string,
  learners: readonly Learner[],
  { compared = [], height, heldOut }: ChartOptions = {},
): AsyncGenerator<Piece, void, undefined> {
  const total = Math.max(...learners.map(({ config }) => config.train.steps));
  const levels = [{ name: `ln ${tokenizer.vocabSize}`, loss: Math.log(tokenizer.vocabSize) }, ...compared];
  const every = Math.ceil(total / (heldOut === undefined ? charts.ofSteps : charts.measured));
  const chart = async (stepsDone: number): Promise<Piece> => {
    if (heldOut !== undefined) {
      for (const { trainer, measured } of learners) {
        const { natsPerToken } = await evaluate(trainer.model, heldOut, signal);
        measured.push({ step: stepsDone, loss: natsPerToken });
      }
    }
    const final = stepsDone === total;
    return {
      ...{ kind: "curves", id, curves: learners.map(curveOf), levels, steps: total, final },
      ...(height === undefined ? {} : { height }),
    };
  };
  if (heldOut !== undefined) yield await chart(0);
  for (let step = 0; step < total; step++) {
    for (const { trainer, losses } of learners) {
      signal.throwIfAborted();
      losses.push((await trainer.step(step)).loss);
      await yieldToHost();
    }
    const isDue = heldOut === undefined ? step % every === 0 : (step + 1) % every === 0;
    if (isDue || step === total - 1) yield await chart(step + 1);
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
