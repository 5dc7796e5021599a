import { backward, dropoutSource } from "../autograd/context.ts";
import { readScalar } from "../autograd/tensor.ts";
import type { Backend } from "../backend/backend.ts";
import { type Observer, observed } from "../backend/observed.ts";
import { alternatives } from "../core/alternatives.ts";
import { closeOnError } from "../core/close-on-error.ts";
import { ConfigError } from "../core/errors.ts";
import { randomKey } from "../core/random.ts";
import { type Batch, trainingPasses } from "../data/batches.ts";
import { initialise } from "../models/arena.ts";
import { forwardLoss } from "../models/forward.ts";
import { createGradients, type Gradients } from "../models/gradients.ts";
import { createModel, type Model } from "../models/model.ts";
import { createRoundedWeights, type RoundedWeights } from "../models/rounded-weights.ts";
import { clipFactor } from "../optim/clip.ts";
import { createOptimizer } from "../optim/optimizer.ts";
import { learningRateAt } from "../optim/schedule.ts";
import type { Optimizer } from "../optim/update.ts";
import type { TrainerConfig } from "./config.ts";

/** What a step finds before it changes a weight. */
export interface StepMeasure {
  /** Nats per token. */
  readonly loss: number;
  /** Before clipping. */
  readonly gradNorm: number;
}

export interface StepResult extends StepMeasure {
  readonly learningRate: number;
}

/** Where in a step a kernel runs: on the way to the loss, back, or for the gradient's norm. */
export type StepPhase = "forward" | "backward" | "norm";

/** Looks on while a step is measured. */
export interface StepObserver {
  readonly kernel: Observer;
  /** A part of the step begins. */
  readonly phase: (phase: StepPhase) => void;
}

/** A model, its optimizer and the arithmetic of one step. Knows nothing of events, files or time. */
export interface Trainer {
  readonly model: Model;
  readonly optimizer: Optimizer;
  readonly gradients: Gradients;
  readonly rounded: RoundedWeights | null;
  /** The passes of a step, in order: rows of token ids and of what follows them. */
  passes(step: number): Iterable<Batch>;
  /**
   * Loss and gradient of update number `step` (0-based), on batches that are a function of (seed, step). No weight and no
   * moment changes, and the same again gives the same bits. Weights that something else has changed are seen by the first
   * step, and by one that does not follow the step before.
   */
  measure(step: number, observer?: StepObserver): Promise<StepMeasure>;
  /** The update by the gradient that `measure` has just found; returns its learning rate. */
  update(step: number, measured: StepMeasure): number;
  /** Weights or moments have been written from elsewhere: the next step sees them. */
  replaced(): void;
  /**
   * `measure` and `update` in one.
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

/** The passes of micro-batch `microStep` of a step. */
export type PassSource = (step: number, microStep: number) => Iterable<Batch>;

const passesOf = ({ model, train }: TrainerConfig, tokens: Int32Array): PassSource => {
  const { batchSize, seed } = train;
  const { contextLength } = model;
  return (step, microStep) =>
    trainingPasses(tokens, { batchSize, contextLength, seed, step, microStep }, tokensPerPass);
};

/** A trainer with freshly drawn weights; a resumed run then overwrites weights and moments. */
export const createTrainer = (
  backend: Backend,
  config: TrainerConfig,
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
  config: TrainerConfig,
  vocabSize: number,
  trainTokens: Int32Array,
): Trainer => trainerOn(backend, config, vocabSize, passesOf(config, trainTokens));

/** The same on passes from elsewhere. */
export const trainerOn = (given: Backend, config: TrainerConfig, vocabSize: number, passes: PassSource): Trainer => {
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
  const backend = observed(given);
  const model = open(() => createModel(backend, config.model, vocabSize));
  const gradients = open(() => createGradients(model));
  const optimizer = open(() => createOptimizer(backend, model.layout, train.optimizer));
  const rounded = open(() => createRoundedWeights(model));
  /** The step whose weights are rounded. */
  let roundedFor = -1;
  const tokensPerStep = batchSize * contextLength * gradAccumSteps;

  function* passesOfStep(step: number): Generator<Batch, void, undefined> {
    for (let microStep = 0; microStep < gradAccumSteps; microStep++) yield* passes(step, microStep);
  }

  const gradient = async (step: number, enter: StepObserver["phase"]): Promise<StepMeasure> => {
    gradients.clear();
    if (step !== roundedFor) rounded?.refresh();
    roundedFor = step;
    // One source for the whole step: each micro-batch drops at places of its own.
    const drops = dropout > 0 ? dropoutSource(randomKey(seed, "dropout", step)) : null;
    let loss = 0;
    for (const { x, y, rows, time } of passesOfStep(step)) {
      const summed = await gradients.record(
        async (context) => {
          enter("forward");
          const total = forwardLoss(context, model, x, y, rows, time); // [1]
          const reading = readScalar(backend, total);
          enter("backward");
          backward(context, total, 1 / tokensPerStep);
          return reading;
        },
        drops,
        rounded?.of,
      );
      loss += summed / tokensPerStep;
    }
    enter("norm");
    return { loss, gradNorm: await gradients.norm() };
  };

  const trainer: Trainer = {
    model,
    optimizer,
    gradients,
    rounded,
    passes: passesOfStep,
    measure: (step, observer) =>
      observer === undefined
        ? gradient(step, () => {})
        : backend.observe(observer.kernel, () => gradient(step, observer.phase)),
    update(step, { gradNorm }) {
      const learningRate = learningRateAt(train, step);
      const gradScale = clipFactor(gradNorm, maxGradNorm);
      const update = { step: step + 1, learningRate, gradScale, rounded };
      optimizer.update({ values: model.arena, gradients: gradients.arena, ...update });
      roundedFor = step + 1;
      return learningRate;
    },
    replaced() {
      roundedFor = -1;
      optimizer.forget();
    },
    async step(step) {
      const { loss, gradNorm } = await trainer.measure(step);
      if (!Number.isFinite(loss) || !Number.isFinite(gradNorm)) {
        throw new ConfigError({
          where: `step ${step + 1}`,
          must: "loss and gradient must stay finite",
          got: `loss ${loss}, gradient norm ${gradNorm}`,
          hint: alternatives(calmer(step)),
        });
      }
      return { loss, gradNorm, learningRate: trainer.update(step, { loss, gradNorm }) };
    },
    close,
  };
  return trainer;
};

/** What to try where a step is not finite, or explodes; the first is the likeliest to help. */
export const calmer = (step: number): readonly [string, ...string[]] =>
  step === 0
    ? // No update has been made yet: the learning rate had no part in it.
      ["a smaller model.initStd"]
    : ["a lower train.learningRate", "train.warmupSteps", "train.maxGradNorm 1"];
