import { backward, dropoutSource } from "../autograd/context.ts";
import { readScalar } from "../autograd/tensor.ts";
import type { Backend } from "../backend/backend.ts";
import { closeOnError } from "../core/close-on-error.ts";
import { ConfigError } from "../core/errors.ts";
import { randomKey } from "../core/random.ts";
import { trainingPasses } from "../data/batches.ts";
import { initialise } from "../models/arena.ts";
import { forwardLoss } from "../models/forward.ts";
import { createGradients } from "../models/gradients.ts";
import { createModel, type Model } from "../models/model.ts";
import { createRoundedWeights } from "../models/rounded-weights.ts";
import { clipFactor } from "../optim/clip.ts";
import { createOptimizer } from "../optim/optimizer.ts";
import { learningRateAt } from "../optim/schedule.ts";
import type { Optimizer } from "../optim/update.ts";
import type { RunConfig } from "./config.ts";

export interface StepResult {
  /** Nats per token, before the update. */
  readonly loss: number;
  readonly learningRate: number;
  /** Before clipping. */
  readonly gradNorm: number;
}

/** A model, its optimizer and the arithmetic of one step. Knows nothing of events, files or time. */
export interface Trainer {
  readonly model: Model;
  readonly optimizer: Optimizer;
  /**
   * Update number `step` (0-based), on batches that are a function of (seed, step). Weights that something else has changed
   * are seen by the first step, and by one that does not follow the step before.
   * @throws ConfigError if the loss or the gradient is not finite; the weights are then still those before the step.
   */
  step(step: number): Promise<StepResult>;
  close(): void;
}

/**
 * A batch goes through the model in passes of about this many tokens, enough to keep every kernel busy: the activations
 * of one pass are all that is in memory, however large the batch is.
 */
export const tokensPerPass = 4096;

/** A trainer with freshly drawn weights; a resumed run then overwrites weights and moments. */
export const createTrainer = (
  backend: Backend,
  config: RunConfig,
  vocabSize: number,
  trainTokens: Int32Array,
): Trainer => {
  const trainer = undrawnTrainer(backend, config, vocabSize, trainTokens);
  const { layout, arena } = trainer.model;
  closeOnError(trainer.close, () => initialise(backend, layout, arena, config.train.seed));
  return trainer;
};

/** A trainer with all weights zero. A failure leaves no memory taken. */
export const undrawnTrainer = (
  backend: Backend,
  config: RunConfig,
  vocabSize: number,
  trainTokens: Int32Array,
): Trainer => {
  const { train } = config;
  const { batchSize, gradAccumSteps, seed, maxGradNorm } = train;
  const { contextLength, dropout } = config.model;
  const opened: { close(): void }[] = [];
  const close = (): void => {
    for (const one of opened.splice(0).reverse()) one.close();
  };
  const open = <T extends { close(): void } | null>(create: () => T): T => {
    const one = closeOnError(close, create);
    if (one !== null) opened.push(one);
    return one;
  };
  const model = open(() => createModel(backend, config.model, vocabSize));
  const gradients = open(() => createGradients(model));
  const optimizer = open(() => createOptimizer(backend, model.layout, train.optimizer));
  const rounded = open(() => createRoundedWeights(model));
  /** The step whose weights are rounded. */
  let roundedFor = -1;
  const tokensPerStep = batchSize * contextLength * gradAccumSteps;

  return {
    model,
    optimizer,
    async step(step) {
      gradients.clear();
      if (step !== roundedFor) rounded?.refresh();
      roundedFor = step;
      // One source for the whole step: each micro-batch drops at places of its own.
      const drops = dropout > 0 ? dropoutSource(randomKey(seed, "dropout", step)) : null;
      let loss = 0;
      for (let microStep = 0; microStep < gradAccumSteps; microStep++) {
        const batch = { batchSize, contextLength, seed, step, microStep };
        for (const { x, y, rows, time } of trainingPasses(trainTokens, batch, tokensPerPass)) {
          const summed = await gradients.record(
            async (context) => {
              const total = forwardLoss(context, model, x, y, rows, time); // [1]
              const reading = readScalar(backend, total);
              backward(context, total, 1 / tokensPerStep);
              return reading;
            },
            drops,
            rounded?.of,
          );
          loss += summed / tokensPerStep;
        }
      }
      const gradNorm = await gradients.norm();
      if (!Number.isFinite(loss) || !Number.isFinite(gradNorm)) {
        throw new ConfigError({
          where: `step ${step + 1}`,
          must: "loss and gradient must stay finite",
          got: `loss ${loss}, gradient norm ${gradNorm}`,
          hint:
            step === 0
              ? // No update has been made yet: the learning rate had no part in it.
                "a smaller model.initStd"
              : "a lower train.learningRate, train.warmupSteps, or train.maxGradNorm 1",
        });
      }
      const learningRate = learningRateAt(train, step);
      const gradScale = clipFactor(gradNorm, maxGradNorm);
      const update = { step: step + 1, learningRate, gradScale, rounded };
      optimizer.update({ values: model.arena, gradients: gradients.arena, ...update });
      roundedFor = step + 1;
      return { loss, learningRate, gradNorm };
    },
    close,
  };
};
