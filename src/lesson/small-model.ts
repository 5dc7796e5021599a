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

/** Smaller size, because the reference backend is slow. */
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

/** Lesson size for a backend. */
export const lessonSize = ({ name }: Backend): LessonSize => (name === "reference" ? referenceSize : compiledSize);

/** A model in training, and the name of its curve. */
export interface Learner {
  readonly name: string;
  readonly config: TrainerConfig;
  readonly trainer: Trainer;
  /** Losses of the steps so far, in nats per token. */
  readonly losses: number[];
  /** Losses on held-out text so far, by step. Empty if the lesson does not measure them. */
  readonly measured: Point[];
}

type Point = Curve["points"][number];

/** Creates a small model with initial weights. The weights do not depend on the mask. The caller closes its trainer. */
export const createLearner = (input: LessonInput, size: LessonSize, name: string, mask: AttentionMask): Learner => {
  const { trainIds, seed } = input;
  const config = smallModelConfig(size, { trainTokens: trainIds.length, seed, mask }, presets.book.train);
  const trainer = createTrainer(input.backend, config, input.tokenizer.vocabSize, input.trainIds);
  return { name, config, trainer, losses: [], measured: [] };
};

export interface ChartOptions {
  /** Horizontal lines for comparison, in addition to the loss of the untrained model. */
  readonly compared?: readonly Level[];
  /** Height of the plot in lines. A lesson sets the height if the screen has little space. */
  readonly height?: number;
  /**
   * Text on which losses are measured during training. The curves then show these losses. By default, the curves show
   * the losses of the steps.
   */
  readonly heldOut?: MeasuredTokens;
}

/**
 * Number of times that the chart is drawn during a training. `ofSteps` applies if the curves show losses of the steps.
 * `measured` applies if the curves show measured held-out losses.
 */
const charts = { ofSteps: 60, measured: 20 };

const curveOf = ({ name, losses, measured }: Learner): Curve =>
  measured.length > 0
    ? { name, points: [...measured], measured: true }
    : { name, points: losses.map((loss, step) => ({ step, loss })) };

/**
 * Trains all learners alternately, step by step, on the same batches. Yields the learners' curves as the curves grow.
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

/**
 * Mean loss of the last tenth of the steps. The loss of a single step varies strongly, because it is the loss of one
 * batch.
 */
export const recentLoss = ({ losses }: Learner): number => {
  const recent = losses.slice(-Math.ceil(losses.length / 10));
  return recent.reduce((sum, loss) => sum + loss, 0) / recent.length;
};

/**
 * The same model with another mask. The returned model shares the weights of `model`, so the caller must close only
 * `model`.
 */
export const withMask = (model: Model, mask: AttentionMask): Model => ({ ...model, config: { ...model.config, mask } });

export interface Writing {
  readonly prompt: string;
  /** Number of tokens to write. */
  readonly length: number;
  readonly temperature: number;
  readonly topK: number;
}

/**
 * Text that a model writes after the prompt, drawn with the lesson's seed.
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
