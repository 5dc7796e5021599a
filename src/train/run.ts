import type { Backend } from "../backend/backend.ts";
import { profiled } from "../backend/profiled.ts";
import { ConfigError } from "../core/errors.ts";
import { generate } from "../generate/generate.ts";
import type { ReadValues } from "../models/arena.ts";
import { modelLayout } from "../models/model.ts";
import { languageModel } from "../pretrained/language-model.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import type { RunConfig } from "./config.ts";
import { estimateSeconds, median } from "./duration.ts";
import { evaluate, type MeasuredTokens } from "./evaluate.ts";
import {
  type CheckpointEvent,
  type EstimateEvent,
  type EvalEvent,
  type OverfittingEvent,
  type SampleEvent,
  type TrainEvent,
  eventVersion as v,
} from "./events.ts";
import { faultOf, withoutStep, withStep } from "./faults.ts";
import { checkHealth, type RecordStore, recordFault } from "./leave-out.ts";
import type { MemoryEstimate } from "./memory.ts";
import { freshProgress, hasTurned, isEvaluationDue, type Progress } from "./progress.ts";
import { createRollback, type RollbackStore } from "./rollback.ts";
import type { StateArrays, TrainerSnapshot } from "./state.ts";
import { createTrainer } from "./trainer.ts";
import { yieldToHost } from "./yield.ts";

/** A run at one step: what a resumed run starts from. */
export interface ResumedState {
  readonly progress: Progress;
  /** Gives the trainer's state away, once: its arrays are as large as those in the backend. */
  take(): StateArrays;
}

/** A run at one step while it is saved: its trainer's state is read from the backend piece by piece. */
export interface SavedState extends TrainerSnapshot {
  readonly progress: Progress;
}

/** Where a run is kept. */
export interface RunStore extends RecordStore, RollbackStore {
  /** Shown in events. */
  readonly path: string;
  /** Notes an event; order is kept. */
  record(event: TrainEvent): Promise<void>;
  /** Replaces the checkpoint; returns its directory. Whole or not at all. */
  saveCheckpoint(state: SavedState): Promise<string>;
  /** Replaces the weights of the lowest validation loss, which are those after `step` updates. */
  saveBest(values: ReadValues, step: number): Promise<void>;
}

/** What a run that was stopped had begun and not ended, besides an evaluation: its progress tells of that. */
export interface BrokenOff {
  /** The sample after the evaluation of its step, or the last one. */
  readonly sample: boolean;
  /** The loss of the run's last evaluation, where all steps are done. */
  readonly lastLoss: number | undefined;
}

export interface RunInput {
  readonly backend: Backend;
  readonly config: RunConfig;
  readonly corpus: string;
  readonly tokenizer: Tokenizer;
  readonly trainTokens: Int32Array;
  readonly val: MeasuredTokens;
  /** What samples continue. */
  readonly prompt: string;
  /** Tokens of the sample at the end; 0: none. */
  readonly finalSampleTokens: number;
  /** null: nothing is kept. */
  readonly store: RunStore | null;
  /** null: from the start. */
  readonly resume: ResumedState | null;
  /** What the run will take, for its first event. */
  readonly memory: MemoryEstimate;
  /** Bytes that the process may come to hold; null where nobody knows. */
  readonly availableMemory: number | null;
  /** What was broken off when a resumed run was stopped, and is made up for first. */
  readonly broken?: BrokenOff | undefined;
  /** Stop after this many updates, as an interruption would. */
  readonly stopAt?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Whether the kernels are timed, for a `profile` event. */
  readonly profile?: boolean | undefined;
}

/** Steps that the estimate of a run's time is made from: enough for a median, few enough to come early. */
const timedSteps = 5;

/**
 * Trains to the end of the plan, an interruption or the end of patience, and yields what happens. A run always ends
 * with an evaluation, a checkpoint and `done`. Aborting `signal` counts as an interruption: the step under way is
 * finished, an evaluation under way is broken off (a resumed run makes up for it), the run is saved and measured.
 *
 * The state at a step is a function of the config and the text alone: an interrupted run saves what an uninterrupted
 * one has at that step, and the evaluation it shows on the way out is not part of that.
 *
 * A step whose loss or gradient is not finite, or explodes, changes nothing. It is recorded, and the run stops or goes on
 * without it, as `train.onNonfinite` says.
 *
 * @throws ConfigError for such a step where the run is to stop, and where an update has made a weight or a moment infinite
 *   or NaN: the last checkpoint is then from before.
 */
export async function* run(input: RunInput): AsyncGenerator<TrainEvent, void, undefined> {
  const { config, tokenizer, val, store, signal } = input;
  const profile = input.profile === true ? profiled(input.backend) : undefined;
  const backend = profile ?? input.backend;
  const { train } = config;
  const begun = performance.now();
  let progress = input.resume?.progress ?? freshProgress;
  let savedAt = -1;
  const { onNonfinite, checkpointInterval } = train;

  const note = async <E extends TrainEvent>(event: E): Promise<E> => {
    await store?.record(event);
    return event;
  };

  // Before any memory is taken: who reads it sees how much it will be.
  yield await note({
    v,
    type: "start",
    config,
    parameters: modelLayout(config.model, tokenizer.vocabSize).count,
    backend: backend.name,
    instructionSet: backend.capabilities.instructionSet,
    threads: backend.capabilities.threads,
    dtype: backend.capabilities.dtype,
    corpus: input.corpus,
    trainTokens: input.trainTokens.length,
    valTokens: val.ids.length,
    vocabSize: tokenizer.vocabSize,
    out: store?.path ?? null,
    step: progress.step,
    memory: input.memory,
    availableMemory: input.availableMemory,
  });

  const trainer = createTrainer(backend, config, tokenizer.vocabSize, input.trainTokens);
  const lm = languageModel(trainer.model, tokenizer);
  const rollback = onNonfinite === "rollback" ? createRollback(trainer, train, store) : null;
  const flight = { backend, trainer, config, vocabSize: tokenizer.vocabSize, store };

  /** Undefined where `breakOff` breaks it off: all is then as before. */
  const measure = async (reason: EvalEvent["reason"], breakOff?: AbortSignal): Promise<EvalEvent | undefined> => {
    const measured = await evaluate(trainer.model, val, breakOff).catch((error: unknown) => {
      if (breakOff?.aborted === true) return undefined;
      throw error;
    });
    if (measured === undefined) return undefined;
    const { natsPerToken: valLoss, ...rest } = measured;
    const { step, lossSum, lossCount, best } = progress;
    if (!Number.isFinite(rest.perplexity)) {
      throw new ConfigError({
        where: `evaluation after step ${step}`,
        must: "the validation loss must stay finite",
        got: `${valLoss} nats per token`,
        hint: "a lower train.learningRate, train.warmupSteps, or train.maxGradNorm 1",
      });
    }
    const isBest = best === null || valLoss < best.valLoss;
    if (isBest && reason !== "interrupted") await checkHealth(trainer, step);
    const trainLoss = lossCount === 0 ? null : lossSum / lossCount;
    if (reason !== "interrupted") {
      progress = {
        ...progress,
        lossSum: 0,
        lossCount: 0,
        leftOut: 0,
        best: isBest ? { step, valLoss } : best,
        evalsSinceBest: isBest ? 0 : progress.evalsSinceBest + 1,
      };
      if (isBest) await store?.saveBest(trainer.snapshot().weights.read, step);
    }
    return note({
      v,
      type: "eval",
      step,
      trainLoss,
      valLoss,
      ...rest,
      reason,
      best: isBest && reason !== "interrupted",
    });
  };

  /** Whether the newest sample was written to its end. */
  let wroteLast = true;

  /** Nothing where the signal breaks it off; a resumed run makes up for it. */
  async function* write(maxNewTokens: number): AsyncGenerator<SampleEvent, void, undefined> {
    let text = "";
    wroteLast = false;
    const stop = signal === undefined ? {} : { signal };
    for await (const event of generate(lm, { prompt: input.prompt, maxNewTokens, seed: train.seed, ...stop })) {
      if (event.type === "token") text += event.text;
      else if (event.finishReason === "aborted") return;
      await yieldToHost();
    }
    wroteLast = true;
    yield await note({ v, type: "sample", step: progress.step, prompt: input.prompt, text });
  }

  /** Once a run. */
  async function* tellOverfitting(valLoss: number): AsyncGenerator<OverfittingEvent, void, undefined> {
    const { step, best, overfitting } = progress;
    if (best === null || overfitting || !hasTurned(progress, valLoss)) return;
    progress = { ...progress, overfitting: true };
    yield await note({ v, type: "overfitting", step, valLoss, bestValLoss: best.valLoss, bestStep: best.step });
  }

  async function* save(): AsyncGenerator<CheckpointEvent, void, undefined> {
    const { step } = progress;
    if (store === null || savedAt === step) return;
    await checkHealth(trainer, step);
    const path = await store.saveCheckpoint({ progress, ...trainer.snapshot() });
    savedAt = step;
    yield await note({ v, type: "checkpoint", step, path });
  }

  try {
    // Nobody holds the arrays afterwards.
    if (input.resume !== null) trainer.restore(input.resume.take());
    const tokensPerStep = train.batchSize * train.gradAccumSteps * config.model.contextLength;
    const lastStep = Math.min(train.steps, input.stopAt ?? train.steps);
    let outOfPatience = false;
    let lastLoss = input.broken?.lastLoss;
    let measuredAt = lastLoss === undefined ? -1 : progress.step;

    /** What a step is followed by; also for a resumed run that was stopped before the step's evaluation was done. */
    async function* afterStep(): AsyncGenerator<TrainEvent, void, undefined> {
      const { step } = progress;
      if (isEvaluationDue(progress, train)) {
        const evaluated = await measure(step === train.steps ? "end" : "interval", signal);
        if (evaluated === undefined) return;
        lastLoss = evaluated.valLoss;
        measuredAt = step;
        yield evaluated;
        yield* tellOverfitting(lastLoss);
        if (step < train.steps && train.sampleTokens > 0) yield* write(train.sampleTokens);
        outOfPatience = train.patience > 0 && progress.evalsSinceBest >= train.patience && step < train.steps;
        if (outOfPatience) return;
      }
      yield* savePlanned();
    }

    async function* savePlanned(): AsyncGenerator<TrainEvent, void, undefined> {
      const { step } = progress;
      if (step % checkpointInterval === 0 && step < train.steps) {
        yield* save();
        await rollback?.keep(step);
      }
    }

    /** Of this process, without the first, which also warms up. */
    const stepTimes: number[] = [];
    const estimate = (): EstimateEvent => {
      const stepSeconds = median(stepTimes) ?? 0;
      const { finalSampleTokens } = input;
      const promptTokens = tokenizer.encode(input.prompt).length;
      const remaining = { step: progress.step, lastStep, valTokens: val.ids.length, promptTokens, finalSampleTokens };
      const secondsLeft = estimateSeconds(config, stepSeconds, remaining);
      return { v, type: "estimate", step: progress.step, timedSteps, stepSeconds, secondsLeft };
    };
    const firstStep = progress.step;
    const isAborted = (): boolean => signal?.aborted === true;

    if (isEvaluationDue(progress, train)) yield* afterStep();
    else if (input.broken?.sample === true && input.broken.lastLoss === undefined) {
      yield* write(train.sampleTokens);
      yield* savePlanned();
    }
    // A kill may have come between the planned checkpoint and its copy to go back to.
    else if (firstStep > 0 && firstStep % checkpointInterval === 0) await rollback?.keep(firstStep);
    while (progress.step < lastStep && !outOfPatience && !isAborted()) {
      const began = performance.now();
      const measured = await trainer.measure(progress.step);
      const fault = faultOf(measured, progress, train, tokenizer.vocabSize);
      const step = progress.step + 1;
      if (fault === undefined) {
        const learningRate = trainer.update(progress.step, measured);
        const seconds = (performance.now() - began) / 1000;
        progress = withStep(progress, measured);
        const { loss, gradNorm } = measured;
        yield await note({
          v,
          type: "step",
          step,
          loss,
          learningRate,
          gradNorm,
          tokensPerSecond: tokensPerStep / seconds,
        });
        if (step > firstStep + 1) stepTimes.push(seconds);
      } else {
        const event = await recordFault(flight, progress, fault);
        await rollback?.goBack(progress.step);
        progress = withoutStep(progress);
        yield await note(event);
      }
      // Not noted: it depends on the clock and is of this process alone.
      if (step === firstStep + 1 + timedSteps && step < lastStep && !isAborted()) yield estimate();
      await yieldToHost();
      yield* afterStep();
    }

    const isOver = outOfPatience || input.broken?.lastLoss !== undefined;
    let interrupted = !isOver && (progress.step < train.steps || isEvaluationDue(progress, train));
    if (!interrupted) {
      if (input.finalSampleTokens > 0) yield* write(input.finalSampleTokens);
      // A sample that was broken off is made up for, as all else.
      interrupted = isAborted() && !wroteLast;
    }
    if (interrupted) {
      // Saved before it is measured: a second interruption while measuring must lose nothing.
      yield* save();
      if (measuredAt !== progress.step) {
        const evaluated = await measure("interrupted");
        lastLoss = evaluated?.valLoss;
        if (evaluated !== undefined) yield evaluated;
      }
    } else yield* save();
    if (lastLoss === undefined) throw new Error("a run ends with an evaluation");
    const { step, best } = progress;
    const valLoss = lastLoss;
    if (profile !== undefined) {
      const seconds = (performance.now() - begun) / 1000;
      // Not noted: it depends on the clock and is of this process alone.
      yield { v, type: "profile", step, seconds, kernels: profile.profile() };
    }
    yield await note({
      v,
      type: "done",
      step,
      reason: interrupted ? "interrupted" : step < train.steps ? "patience" : "finished",
      valLoss,
      bestValLoss: best?.valLoss ?? valLoss,
      bestStep: best?.step ?? step,
      out: store?.path ?? null,
    });
  } finally {
    trainer.close();
  }
}
