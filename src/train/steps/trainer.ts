import { backward, dropoutSource } from "../../autograd/context.ts";
import { readScalar } from "../../autograd/tensor.ts";
import type { Backend, Storage } from "../../backend/backend.ts";
import { type Observer, observed } from "../../backend/observers/observed.ts";
import { alternatives } from "../../core/alternatives.ts";
import { closeOnError } from "../../core/close-on-error.ts";
import { ConfigError } from "../../core/errors.ts";
import { randomKey } from "../../core/random.ts";
import type { Batch } from "../../data/batches.ts";
import type { Documents } from "../../data/documents.ts";
import type { BatchSize } from "../../data/rows.ts";
import { type Arena, arenaReader, initialise } from "../../models/arena.ts";
import { forwardLoss, segmentsLoss } from "../../models/forward.ts";
import type { Gradients } from "../../models/gradients.ts";
import { baseLayers } from "../../models/lora/layout.ts";
import { adaptedModel } from "../../models/lora/model.ts";
import { canFreeze, createFrozenModel, createModel, type Model, trainedPart } from "../../models/model.ts";
import { dropoutPlaces } from "../../models/transformer.ts";
import { clipFactor } from "../../optim/clip.ts";
import { createOptimizer } from "../../optim/optimizer.ts";
import { learningRateAt } from "../../optim/schedule.ts";
import type { Optimizer } from "../../optim/update.ts";
import type { TrainerConfig } from "../config/config.ts";
import { createGradientSum } from "./gradient-sum.ts";
import { type PassSource, passesBetween, passesOfDocuments, passesOfText, passesPerStep } from "./passes.ts";
import { type StateArrays, type StateLayout, type StatePart, type TrainerSnapshot, weightsName } from "./state.ts";
import { alone, shareOf, type Team } from "./team.ts";

/** Loss and gradient norm of a step, before it changes a weight. */
export interface StepMeasure {
  /** Nats per token. */
  readonly loss: number;
  /** Before clipping. */
  readonly gradNorm: number;
}

export interface StepResult extends StepMeasure {
  readonly learningRate: number;
}

/** Part of a step: forward, backward, or the gradient's norm. */
export type StepPhase = "forward" | "backward" | "norm";

/** Watches a step while it is measured. */
export interface StepObserver {
  readonly kernel: Observer;
  /** Called when a part of the step begins. */
  readonly phase: (phase: StepPhase) => void;
}

/** A model, its optimizer and the arithmetic of one step. Knows nothing of events, files or time. */
export interface Trainer {
  readonly model: Model;
  /**
   * With adapters the model that they are beside, whose weights are the caller's to write before the first step: they are not
   * part of the state. null: all weights are trained.
   */
  readonly base: Model | null;
  readonly optimizer: Optimizer;
  /** Gradients of the step that was measured last, over all passes and all machines. */
  readonly gradients: Gradients;
  /** All arrays that a step writes gradients to, including `gradients`. */
  readonly gradientStorages: readonly Storage[];
  /** The passes of a step on all machines, in order: rows of token ids and of their targets. */
  passes(step: number): Iterable<Batch>;
  /** Tokens of a step on all machines, and those that its loss is the mean of. */
  sizeOf(step: number): BatchSize;
  /**
   * Loss and gradient of update number `step` (0-based), on batches that are a function of (seed, step). No weight and
   * no moment changes, and a repetition gives the same bits. Weights that others have changed take effect at the first
   * step, and at a step that does not follow the step before.
   */
  measure(step: number, observer?: StepObserver): Promise<StepMeasure>;
  /** Updates the weights by the gradient of the last `measure`; returns the learning rate. */
  update(step: number, measured: StepMeasure): number;
  /** The current state, for a checkpoint or a rollback. Read it before the next update. */
  snapshot(): TrainerSnapshot;
  /**
   * Restores a state, of this trainer or of another with the same configuration. The next step uses it.
   * @param arrays all arrays of `stateLayouts`, which stay the caller's; null: the state before the first step, with
   *   weights drawn from the seed.
   */
  restore(arrays: StateArrays | null): void;
  /**
   * `measure` and `update` in one.
   * @throws ConfigError if the loss or the gradient is not finite; the weights then stay as before the step.
   */
  step(step: number): Promise<StepResult>;
  close(): void;
}

/** A trainer in the state before the first step; a resumed run then restores its own. */
export const createTrainer = (
  backend: Backend,
  config: TrainerConfig,
  vocabSize: number,
  trainTokens: Int32Array | Documents,
  team: Team = alone,
): Trainer => {
  const trainer = undrawnTrainer(backend, config, vocabSize, trainTokens, team);
  closeOnError(trainer.close, () => trainer.restore(null));
  return trainer;
};

/** A trainer with all weights zero, those of a base not written. If it fails, nothing stays allocated. */
export const undrawnTrainer = (
  backend: Backend,
  config: TrainerConfig,
  vocabSize: number,
  trainTokens: Int32Array | Documents,
  team: Team = alone,
): Trainer => {
  const ofText = trainTokens instanceof Int32Array;
  const passes = ofText ? passesOfText(config, trainTokens) : passesOfDocuments(config, trainTokens);
  return trainerOn(backend, config, vocabSize, passes, team);
};

/** A trainer on passes from any source. */
export const trainerOn = (
  given: Backend,
  config: TrainerConfig,
  vocabSize: number,
  source: PassSource,
  team: Team = alone,
): Trainer => {
  const { train } = config;
  const { seed, maxGradNorm } = train;
  const { lora } = config;
  const drops = config.model.dropout > 0 || (lora?.dropout ?? 0) > 0;
  const places = dropoutPlaces(config.model, lora === undefined ? 0 : baseLayers(config.model).length);
  const share = shareOf(passesPerStep(config), team);
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
  const create = lora !== undefined && canFreeze(backend) ? createFrozenModel : createModel;
  const whole = open(() => create(backend, config.model, vocabSize));
  const model = lora === undefined ? whole : open(() => adaptedModel(whole, lora));
  const { layout, arena } = trainedPart(model);
  const sum = open(() => createGradientSum(model, share.to - share.from));
  const optimizer = open(() => createOptimizer(backend, layout, train.optimizer));
  // Allocated now: lasting memory comes before the memory of steps.
  closeOnError(close, () => model.rounded());
  /** The step whose weights are known here: the weights of another may have been changed from outside. */
  let knownFor = -1;

  /** Computes the gradient of a pass; returns its part of the step's loss. */
  const gradientOf = async (
    step: number,
    number: number,
    { x, y, rows, time, segments }: Batch,
    targets: number,
    gradients: Gradients,
    enter: StepObserver["phase"],
  ): Promise<number> => {
    gradients.clear();
    if (x.length === 0) return 0;
    // Each pass drops at its own places, which follow from its number.
    const source = drops ? dropoutSource(randomKey(seed, "dropout", step), number * places) : null;
    const summed = await gradients.record(
      async (context) => {
        enter("forward");
        const recomputing = { ...context, recomputes: train.recomputeActivations === true };
        const total =
          segments === undefined
            ? forwardLoss(recomputing, model, x, y, rows, time) // [1]
            : segmentsLoss(recomputing, model, x, y, segments); // [1]
        const reading = readScalar(backend, total);
        enter("backward");
        backward(context, total, 1 / targets);
        return reading;
      },
      source,
      model.rounded()?.of,
    );
    return summed / targets;
  };

  const measure = async (step: number, enter: StepObserver["phase"]): Promise<StepMeasure> => {
    if (step !== knownFor) model.weightsChanged();
    knownFor = step;
    const { targets } = source.sizeOf(step);
    const batches = passesBetween(config, source, step, share);
    const ours = await sum.add(share.from, share.to, async (number, gradients) => {
      const { value: batch } = batches.next();
      if (batch === undefined) throw new Error(`step ${step + 1} has no pass ${number}`);
      return gradientOf(step, number, batch, targets, gradients, enter);
    });
    // Not observed: what is found is of this machine's own passes.
    const loss = await team.reduce(given, sum.total.arena, ours);
    enter("norm");
    return { loss, gradNorm: await sum.total.norm() };
  };

  const arenas: readonly (StateLayout & { readonly arena: Arena })[] = [
    { name: weightsName, layout, arena },
    ...optimizer.state,
  ];

  const begin = (): void => {
    for (const { arena, layout } of arenas) {
      backend.run("fill", { y: { storage: arena.storage, offset: 0 }, n: layout.length, value: 0 });
    }
    initialise(backend, layout, arena, seed);
  };

  const trainer: Trainer = {
    model,
    base: model === whole ? null : whole,
    optimizer,
    gradients: sum.total,
    gradientStorages: sum.storages,
    passes: (step) => passesBetween(config, source, step, { from: 0, to: passesPerStep(config) }),
    sizeOf: source.sizeOf,
    measure: (step, observer) =>
      observer === undefined
        ? measure(step, () => {})
        : backend.observe(observer.kernel, () => measure(step, observer.phase)),
    update(step, { gradNorm }) {
      const learningRate = learningRateAt(train, step);
      const gradScale = clipFactor(gradNorm, maxGradNorm);
      // The copies of an adapter follow at their next use.
      const rounded = lora === undefined ? model.rounded() : null;
      const update = { step: step + 1, learningRate, gradScale, rounded };
      optimizer.update({ values: arena, gradients: sum.total.arena, ...update });
      knownFor = step + 1;
      return learningRate;
    },
    snapshot() {
      const [weights, ...others] = arenas.map(({ name, layout, arena }) => ({
        name,
        layout,
        read: arenaReader(backend, arena),
      }));
      return { weights: weights as StatePart, optimizer: others };
    },
    restore(arrays) {
      if (arrays === null) begin();
      else {
        for (const { name, arena } of arenas) {
          const values = arrays.get(name);
          if (values === undefined) throw new Error(`a state must have ${name}`);
          backend.write(arena.storage, values);
        }
      }
      model.weightsChanged();
      knownFor = -1;
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

/** Hints for a step that is not finite, or explodes; the likeliest first. */
export const calmer = (step: number): readonly [string, ...string[]] =>
  step === 0
    ? // No update has been made yet: the learning rate had no part in it.
      ["a smaller model.initStd"]
    : ["a lower train.learningRate", "train.warmupSteps", "train.maxGradNorm 1"];
