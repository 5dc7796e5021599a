import type { Backend, Storage } from "../backend/backend.ts";
import { type Observer, observed } from "../backend/observers/observed.ts";
import type { TrainerConfig } from "../config/config.ts";
import { closeOnError } from "../core/errors/close-on-error.ts";
import { ConfigError } from "../core/errors/errors.ts";
import { alternatives } from "../core/text/alternatives.ts";
import type { Batch } from "../data/batches.ts";
import type { Documents } from "../data/documents.ts";
import type { BatchSize } from "../data/rows.ts";
import { arenaReader, initialise } from "../models/arena.ts";
import type { BlockRows } from "../models/block-arena.ts";
import type { Gradients } from "../models/gradients.ts";
import { adaptedModel } from "../models/lora/model.ts";
import {
  canFreeze,
  createBlockModel,
  createFrozenModel,
  createModel,
  type Model,
  trainedPart,
} from "../models/model.ts";
import { clipFactor } from "../optim/clip.ts";
import { createPartOptimizer } from "../optim/optimizer.ts";
import { learningRateAt } from "../optim/schedule.ts";
import { createAverage, type WeightAverage } from "./average.ts";
import { createGradientSum, type GradientOfPass } from "./gradient-sum.ts";
import type { Losses } from "./losses.ts";
import { passGradientOf } from "./pass-gradient.ts";
import { type PassSource, passesBetween, passesOfDocuments, passesOfText } from "./passes.ts";
import { createPassesBeside, type Division, divisionFor, type PassesBeside } from "./passes-beside.ts";
import { reductionOf } from "./reduction.ts";
import { type StateArrays, type TrainerSnapshot, weightsName } from "./state.ts";
import { alone, shareOf, type Team } from "./team.ts";

/** Loss and gradient norm of a step, before the step changes a weight. */
export interface StepMeasure {
  /** Cross-entropy of the text, in nats per token. */
  readonly loss: number;
  /**
   * With teachers: T² times the divergence from the teachers' predictions, in nats per token. The step minimises (1 −
   * weight) · `loss` + weight · `teacherLoss`. Absent without teachers.
   */
  readonly teacherLoss?: number;
  /** Before clipping. */
  readonly gradNorm: number;
}

export interface StepResult extends StepMeasure {
  readonly learningRate: number;
}

/** Phase of a step: forward, backward, or the gradient's norm. */
export type StepPhase = "forward" | "backward" | "norm";

/** Watches a step while it is measured. */
export interface StepObserver {
  readonly kernel: Observer;
  /** Called when a phase of the step begins. */
  readonly phase: (phase: StepPhase) => void;
}

/** A model, its optimizer and the computation of one step. It does not know events, files or time. */
export interface Trainer {
  readonly model: Model;
  /**
   * The base model under adapters. The caller writes its weights before the first step; they are not part of the state.
   * null: all weights are trained.
   */
  readonly base: Model | null;
  /**
   * Gradients of the last measured step, over all passes. In a team, only the gradients of the weights that this
   * machine updates.
   */
  readonly gradients: Gradients;
  /** All arrays that a step writes gradients to, including `gradients`. */
  readonly gradientStorages: readonly Storage[];
  /** The passes of a step, in order: rows of token ids and their targets. */
  passes(step: number): Iterable<Batch>;
  /** Number of tokens of a step, and number of targets; the loss is the mean over the targets. */
  sizeOf(step: number): BatchSize;
  /**
   * Computes loss and gradient of update number `step` (0-based). The step's batches depend only on the seed and the
   * step. Weights and moments do not change, and a repeated call gives the same bits. If other code changes the
   * weights, the change takes effect at the first step, or at a step that does not follow the previous one.
   */
  measure(step: number, observer?: StepObserver): Promise<StepMeasure>;
  /** Updates the weights with the gradient of the last `measure`; returns the learning rate. */
  update(step: number, measured: StepMeasure): Promise<number>;
  /** The average of the weights, which `update` continues; null without `train.average`. */
  readonly average: Pick<WeightAverage, "during"> | null;
  /** Whether every weight and moment that an update has written is finite. */
  isFinite(): Promise<boolean>;
  /**
   * The current state, for a checkpoint or a rollback. Read it before the next update. In a team, all machines read the
   * same parts in the same order.
   */
  snapshot(): TrainerSnapshot;
  /**
   * Restores a state of this trainer, or of another trainer with the same configuration. The next step uses it.
   * @param arrays all arrays of `stateLayouts`; the caller keeps them. null restores the state before the first step,
   * with weights drawn from the seed.
   */
  restore(arrays: StateArrays | null): void;
  /**
   * Does `measure` and `update`.
   * @throws ConfigError if the loss or the gradient is not finite; the weights then stay unchanged.
   */
  step(step: number): Promise<StepResult>;
  close(): void;
}

/**
 * A trainer in the state before the first step. A resumed run then restores its own state.
 * @param baseRows with adapters: rows of the base model that stay in blocks of 4 to 8 bits, as they are in their file.
 * @param begin a token with which each window of a text begins. Default: none.
 * @param teachers the models of `train.teacher`. The caller closes them, after the trainer. Default: none.
 */
export const createTrainer = (
  backend: Backend,
  config: TrainerConfig,
  vocabSize: number,
  trainTokens: Int32Array | Documents,
  team: Team = alone,
  baseRows: readonly BlockRows[] = [],
  begin?: number,
  teachers: readonly Model[] = [],
): Trainer => {
  const trainer = undrawnTrainer(backend, config, vocabSize, trainTokens, team, baseRows, begin, teachers);
  closeOnError(trainer.close, () => trainer.restore(null));
  return trainer;
};

/**
 * A trainer with all weights zero; the weights of a base model are not written. If it fails, nothing stays allocated.
 */
export const undrawnTrainer = (
  backend: Backend,
  config: TrainerConfig,
  vocabSize: number,
  trainTokens: Int32Array | Documents,
  team: Team = alone,
  baseRows: readonly BlockRows[] = [],
  begin?: number,
  teachers: readonly Model[] = [],
): Trainer => {
  const ofText = trainTokens instanceof Int32Array;
  const passes = ofText ? passesOfText(config, trainTokens, undefined, begin) : passesOfDocuments(config, trainTokens);
  return trainerOn(backend, config, vocabSize, passes, team, divisionFor(backend, passes), baseRows, teachers);
};

/** Allocates resources one after another; `close` frees them in reverse order. */
const allocator = () => {
  const opened: { close(): void }[] = [];
  const close = (): void => {
    for (const one of opened.splice(0).reverse()) one.close();
  };
  const open = <T extends { close(): void }>(create: () => T): T => {
    const one = closeOnError(close, create);
    opened.push(one);
    return one;
  };
  return { open, close };
};

/** The arrays of a state by name. */
const arraysIn =
  (arrays: StateArrays) =>
  (name: string): Float32Array => {
    const values = arrays.get(name);
    if (values === undefined) throw new Error(`a state must have ${name}`);
    return values;
  };

/** @throws ConfigError for a loss or a gradient that is not finite. */
const checkFinite = (step: number, { loss, gradNorm }: StepMeasure): void => {
  if (Number.isFinite(loss) && Number.isFinite(gradNorm)) return;
  throw new ConfigError({
    where: `step ${step + 1}`,
    must: "loss and gradient must stay finite",
    got: `loss ${loss}, gradient norm ${gradNorm}`,
    hint: alternatives(calmer(step)),
  });
};

/**
 * Creates the model that is trained, or the base model under adapters. The base model's matrices use the smallest
 * possible format.
 */
const wholeModel = (
  backend: Backend,
  { model, lora }: TrainerConfig,
  vocabSize: number,
  baseRows: readonly BlockRows[],
): Model => {
  if (lora === undefined) return createModel(backend, model, vocabSize);
  if (baseRows.length > 0) return createBlockModel(backend, model, vocabSize, baseRows);
  return (canFreeze(backend) ? createFrozenModel : createModel)(backend, model, vocabSize);
};

/** Allocates the memory of a trainer. If it fails, nothing stays allocated. */
const allocate = (
  backend: Backend,
  config: TrainerConfig,
  vocabSize: number,
  passes: number,
  team: Team,
  baseRows: readonly BlockRows[],
) => {
  const { lora } = config;
  const { open, close } = allocator();
  const whole = open(() => wholeModel(backend, config, vocabSize, baseRows));
  const model = lora === undefined ? whole : open(() => adaptedModel(whole, lora));
  const sum = open(() => createGradientSum(model, passes));
  const { optimizer: rule } = config.train;
  const reduction = closeOnError(close, () => reductionOf(team, backend, model, rule, sum.total));
  const optimizer = open(() => createPartOptimizer(backend, trainedPart(model).layout, rule, reduction.stretches));
  const { average: kind } = config.train;
  const average = kind === undefined ? null : open(() => createAverage(backend, model, kind));
  // The rounded copies are allocated here, so that lasting memory comes before the temporary memory of steps.
  closeOnError(close, () => model.rounded());
  return { model, base: model === whole ? null : whole, sum, reduction, optimizer, average, close };
};

/** Access to the state in this memory. Each machine of a team has the whole average, because it has all weights. */
const snapshotOf = (
  backend: Backend,
  { model, optimizer, reduction, average }: ReturnType<typeof allocate>,
): TrainerSnapshot => {
  const { layout, arena } = trainedPart(model);
  const moments = optimizer.state.map((part) => ({
    name: part.name,
    layout: part.layout,
    read: reduction.reader(part),
  }));
  return {
    weights: { name: weightsName, layout, read: arenaReader(backend, arena) },
    optimizer: [...moments, ...(average?.state ?? [])],
  };
};

/**
 * A trainer with passes from any source.
 * @param divide returns the number of branches that run in parallel. If it returns undefined, all threads compute one
 * pass after another.
 * @param baseRows as in `createTrainer`.
 * @param teachers as in `createTrainer`.
 */
export const trainerOn = (
  given: Backend,
  config: TrainerConfig,
  vocabSize: number,
  source: PassSource,
  team: Team = alone,
  divide: (passes: number) => Division | undefined = divisionFor(given, source),
  baseRows: readonly BlockRows[] = [],
  teachers: readonly Model[] = [],
): Trainer => {
  const { train, lora } = config;
  const backend = observed(given);
  const count = train.gradAccumSteps * source.perMicroBatch;
  const here = shareOf(count, team);
  const allocated = allocate(backend, config, vocabSize, here.to - here.from, team, baseRows);
  const { model, base, sum, reduction, optimizer, average, close } = allocated;
  const { layout, arena } = trainedPart(model);
  const passGradient = passGradientOf(backend, model, config, teachers);
  /** The step whose weights this trainer wrote. At any other step, other code may have changed the weights. */
  let knownFor = -1;

  let beside: PassesBeside | null | undefined;
  /** Parallel passes of a step; undefined if the backend cannot run them, or has too few threads. */
  const passesBeside = async (step: number, targets: number): Promise<PassesBeside | undefined> => {
    // Makes the rounded copies first: the recorded calls read the copies, but do not make them.
    model.rounded();
    if (beside === undefined) {
      const division = divide(here.to - here.from);
      const options = { backend, model, sum, passGradient, firstPass: here.from };
      const batches = (): Batch[] => [...passesBetween(source, step, here)];
      beside = (division && (await createPassesBeside({ ...options, division }, batches(), targets))) ?? null;
    }
    return beside ?? undefined;
  };

  const measure = async (step: number, enter: StepObserver["phase"], isObserved: boolean): Promise<StepMeasure> => {
    if (step !== knownFor) model.weightsChanged();
    knownFor = step;
    const { targets } = source.sizeOf(step);
    const batches = passesBetween(source, step, here);
    const finish = async (part: Losses, addend?: Storage): Promise<StepMeasure> => {
      const [loss = Number.NaN, teacherLoss] = await reduction.reduce(part, addend);
      enter("norm");
      const gradNorm = await reduction.norm(addend);
      if (isObserved) await reduction.completeGradients();
      return { loss, ...(teacherLoss === undefined ? {} : { teacherLoss }), gradNorm };
    };
    const together = isObserved ? undefined : await passesBeside(step, targets);
    if (together !== undefined) {
      const { losses, addend } = await together.add(step, [...batches]);
      return finish(losses, addend);
    }
    const gradientOfPass: GradientOfPass = async (number, gradients, onComplete) => {
      const { value: batch } = batches.next();
      if (batch === undefined) throw new Error(`step ${step + 1} has no pass ${number}`);
      return passGradient({ step, number, batch, targets }, gradients, enter, onComplete);
    };
    return finish(await sum.add(here.from, here.to, gradientOfPass, reduction.complete));
  };

  const begin = (): void => {
    for (const storage of [arena.storage, ...optimizer.state.map((part) => part.storage)]) {
      backend.run("fill", { y: { storage, offset: 0 }, n: storage.length, value: 0 });
    }
    initialise(backend, layout, arena, train.seed);
  };

  const trainer: Trainer = {
    model,
    base,
    average,
    gradients: sum.total,
    gradientStorages: sum.storages,
    passes: (step) => passesBetween(source, step, { from: 0, to: count }),
    sizeOf: source.sizeOf,
    measure: (step, observer) =>
      observer === undefined
        ? reduction.during(measure(step, () => {}, false))
        : backend.observe(observer.kernel, () => reduction.during(measure(step, observer.phase, true))),
    async update(step, { gradNorm }) {
      const learningRate = learningRateAt(train, step);
      const gradScale = clipFactor(gradNorm, train.maxGradNorm);
      // Rounded copies of adapters, and of weights that other machines update, are made at their next use.
      const rounded = lora === undefined && reduction.updatesAll ? model.rounded() : null;
      const update = { step: step + 1, learningRate, gradScale, rounded };
      optimizer.update({ values: arena, gradients: sum.total.arena, ...update });
      await reduction.during(reduction.completeWeights());
      average?.updated();
      knownFor = step + 1;
      return learningRate;
    },
    isFinite: async () => (await reduction.total((await optimizer.isFinite()) ? 0 : 1)) === 0,
    snapshot: () => snapshotOf(backend, allocated),
    restore(arrays) {
      if (arrays === null) begin();
      else {
        const valuesOf = arraysIn(arrays);
        backend.write(arena.storage, valuesOf(weightsName));
        for (const { name, storage, held } of optimizer.state) {
          const values = valuesOf(name);
          for (const { from, to, at } of held) backend.write(storage, values.subarray(from, to), at);
        }
      }
      average?.restore(arrays);
      model.weightsChanged();
      knownFor = -1;
      optimizer.forget();
    },
    async step(step) {
      const measured = await trainer.measure(step);
      checkFinite(step, measured);
      return { ...measured, learningRate: await trainer.update(step, measured) };
    },
    close() {
      beside?.close();
      close();
    },
  };
  return trainer;
};

/** Hints for a step that is not finite, or explodes; the most likely remedy first. */
export const calmer = (step: number): readonly [string, ...string[]] =>
  step === 0
    ? // No update has been made yet, so the learning rate is not the cause.
      ["a smaller model.initStd"]
    : ["a lower train.learningRate", "train.warmupSteps", "train.maxGradNorm 1"];
