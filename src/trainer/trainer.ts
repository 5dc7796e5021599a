import { backward, dropoutSource } from "../autograd/context.ts";
import { readScalar } from "../autograd/tensor.ts";
import type { Backend, Storage } from "../backend/backend.ts";
import { type Observer, observed } from "../backend/observers/observed.ts";
import type { TrainerConfig } from "../config/config.ts";
import { closeOnError } from "../core/errors/close-on-error.ts";
import { ConfigError } from "../core/errors/errors.ts";
import { randomKey } from "../core/random.ts";
import { alternatives } from "../core/text/alternatives.ts";
import type { Batch } from "../data/batches.ts";
import type { Documents } from "../data/documents.ts";
import type { BatchSize } from "../data/rows.ts";
import { arenaReader, initialise } from "../models/arena.ts";
import { forwardLoss, segmentsLoss } from "../models/forward.ts";
import type { Gradients } from "../models/gradients.ts";
import { baseLayers } from "../models/lora/layout.ts";
import { adaptedModel } from "../models/lora/model.ts";
import { canFreeze, createFrozenModel, createModel, type Model, trainedPart } from "../models/model.ts";
import type { Range } from "../models/pieces.ts";
import { dropoutPlaces } from "../models/transformer.ts";
import { clipFactor } from "../optim/clip.ts";
import { createPartOptimizer } from "../optim/optimizer.ts";
import { learningRateAt } from "../optim/schedule.ts";
import { stretchesOf } from "../optim/stretches.ts";
import { createGradientSum, type GradientOfPass } from "./gradient-sum.ts";
import { type PassSource, passesBetween, passesOfDocuments, passesOfText, passesPerStep } from "./passes.ts";
import { createSharing } from "./sharing.ts";
import { type StateArrays, type TrainerSnapshot, weightsName } from "./state.ts";
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
  /**
   * Gradients of the step that was measured last, over all passes and all machines. On several machines each has only those of
   * its own weights, unless the step was observed.
   */
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
  update(step: number, measured: StepMeasure): Promise<number>;
  /** Whether every weight and every moment that an update has written is finite, on all machines. */
  isFinite(): Promise<boolean>;
  /**
   * The current state, for a checkpoint or a rollback. Read it before the next update. What is read of the optimizer's part must
   * be read on all machines, in the same order.
   */
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
  const sharing =
    team.size === 1 ? null : createSharing(team, backend, layout, train.optimizer, sum.total.arena.storage);
  const optimizer = open(() =>
    createPartOptimizer(
      backend,
      layout,
      train.optimizer,
      sharing?.stretches ?? stretchesOf(layout, train.optimizer, () => true),
    ),
  );
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
    onComplete: ((range: Range) => void) | undefined,
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
      onComplete,
    );
    return summed / targets;
  };

  const measure = async (step: number, enter: StepObserver["phase"], isObserved: boolean): Promise<StepMeasure> => {
    if (step !== knownFor) model.weightsChanged();
    knownFor = step;
    const { targets } = source.sizeOf(step);
    const batches = passesBetween(config, source, step, share);
    const gradientOfPass: GradientOfPass = async (number, gradients, onComplete) => {
      const { value: batch } = batches.next();
      if (batch === undefined) throw new Error(`step ${step + 1} has no pass ${number}`);
      return gradientOf(step, number, batch, targets, gradients, enter, onComplete);
    };
    if (sharing === null) {
      const loss = await sum.add(share.from, share.to, gradientOfPass);
      enter("norm");
      return { loss, gradNorm: await sum.total.norm() };
    }
    const ours = await sum.add(share.from, share.to, gradientOfPass, sharing.complete);
    // Weights that no op has touched are still to be filled with zeros.
    const { storage } = sum.total.arena;
    await sharing.summed();
    const loss = await team.total(ours);
    enter("norm");
    const gradNorm = await sharing.norm();
    if (isObserved) await sharing.gather(storage);
    return { loss, gradNorm };
  };

  /** Where work of a team fails, its arrays may be under way: they must not be freed before that has ended. */
  const inTeam = async <T>(work: Promise<T>): Promise<T> => {
    try {
      return await work;
    } catch (error) {
      await sharing?.giveUp();
      throw error;
    }
  };

  const begin = (): void => {
    for (const storage of [arena.storage, ...optimizer.state.map((part) => part.storage)]) {
      backend.run("fill", { y: { storage, offset: 0 }, n: storage.length, value: 0 });
    }
    initialise(backend, layout, arena, seed);
  };

  const trainer: Trainer = {
    model,
    base: model === whole ? null : whole,
    gradients: sum.total,
    gradientStorages: sum.storages,
    passes: (step) => passesBetween(config, source, step, { from: 0, to: passesPerStep(config) }),
    sizeOf: source.sizeOf,
    measure: (step, observer) =>
      observer === undefined
        ? inTeam(measure(step, () => {}, false))
        : backend.observe(observer.kernel, () => inTeam(measure(step, observer.phase, true))),
    async update(step, { gradNorm }) {
      const learningRate = learningRateAt(train, step);
      const gradScale = clipFactor(gradNorm, maxGradNorm);
      // The copies of an adapter follow at their next use, as those of weights that come from other machines.
      const rounded = lora === undefined && sharing === null ? model.rounded() : null;
      const update = { step: step + 1, learningRate, gradScale, rounded };
      optimizer.update({ values: arena, gradients: sum.total.arena, ...update });
      if (sharing !== null) await inTeam(sharing.gather(arena.storage));
      knownFor = step + 1;
      return learningRate;
    },
    isFinite: async () => (await team.total((await optimizer.isFinite()) ? 0 : 1)) === 0,
    snapshot: () => ({
      weights: { name: weightsName, layout, read: arenaReader(backend, arena) },
      optimizer: optimizer.state.map((part) => ({
        name: part.name,
        layout: part.layout,
        read: sharing?.reader(part) ?? arenaReader(backend, part),
      })),
    }),
    restore(arrays) {
      if (arrays === null) begin();
      else {
        const valuesOf = (name: string): Float32Array => {
          const values = arrays.get(name);
          if (values === undefined) throw new Error(`a state must have ${name}`);
          return values;
        };
        backend.write(arena.storage, valuesOf(weightsName));
        for (const { name, storage, held } of optimizer.state) {
          const values = valuesOf(name);
          for (const { from, to, at } of held) backend.write(storage, values.subarray(from, to), at);
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
      return { loss, gradNorm, learningRate: await trainer.update(step, { loss, gradNorm }) };
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
