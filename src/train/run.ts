import type { Backend } from "../backend/backend.ts";
import { profiled } from "../backend/profiled.ts";
import { ConfigError } from "../core/errors.ts";
import { generate } from "../generate/generate.ts";
import { arenaReader, type ReadValues } from "../models/arena.ts";
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
  type SampleEvent,
  type TrainEvent,
  eventVersion as v,
} from "./events.ts";
import type { MemoryEstimate } from "./memory.ts";
import { freshProgress, isEvaluationDue, type Progress } from "./progress.ts";
import { createTrainer, type Trainer } from "./trainer.ts";
import { yieldToHost } from "./yield.ts";

/** Weights and, for going on, Adam's moments; each flat, in the layout of `modelLayout`. */
export interface TrainerArrays {
  readonly values: Float32Array;
  readonly m: Float32Array;
  readonly v: Float32Array;
}

/** A run at one step: what a resumed run starts from. */
export interface Snapshot {
  readonly progress: Progress;
  /** Gives the arrays away, once: they are as large as weights and moments are in the backend. */
  take(): TrainerArrays;
}

/** A run at one step while it is saved: its arrays are read from the backend piece by piece. */
export interface SavedState {
  readonly progress: Progress;
  readonly values: ReadValues;
  readonly m: ReadValues;
  readonly v: ReadValues;
}

/** Where a run is kept. */
export interface RunStore {
  /** Shown in events. */
  readonly path: string;
  /** Notes an event; order is kept. */
  record(event: TrainEvent): Promise<void>;
  /** Replaces the checkpoint; returns its directory. Whole or not at all. */
  saveCheckpoint(state: SavedState): Promise<string>;
  /** Replaces the weights of the lowest validation loss, which are those after `step` updates. */
  saveBest(values: ReadValues, step: number): Promise<void>;
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
  readonly resume: Snapshot | null;
  /** What the run will take, for its first event. */
  readonly memory: MemoryEstimate;
  /** Bytes that the process may come to hold; null where nobody knows. */
  readonly availableMemory: number | null;
  /** Stop after this many updates, as an interruption would. */
  readonly stopAt?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Whether the kernels are timed, for a `profile` event. */
  readonly profile?: boolean | undefined;
}

/** Steps that the estimate of a run's time is made from: enough for a median, few enough to come early. */
const timedSteps = 5;

const stateOf = (backend: Backend, { model, optimizer }: Trainer, progress: Progress): SavedState => ({
  progress,
  values: arenaReader(backend, model.arena),
  m: arenaReader(backend, optimizer.moments.m),
  v: arenaReader(backend, optimizer.moments.v),
});

/**
 * Trains to the end of the plan, an interruption or the end of patience, and yields what happens. A run always ends
 * with an evaluation, a checkpoint and `done`. Aborting `signal` counts as an interruption: the step under way is
 * finished, an evaluation under way is broken off (a resumed run makes up for it), the run is saved and measured.
 *
 * The state at a step is a function of the config and the text alone: an interrupted run saves what an uninterrupted
 * one has at that step, and the evaluation it shows on the way out is not part of that.
 *
 * @throws ConfigError when a loss is not finite any more; the last checkpoint is then from before.
 */
export async function* run(input: RunInput): AsyncGenerator<TrainEvent, void, undefined> {
  const { config, tokenizer, val, store, signal } = input;
  const profile = input.profile === true ? profiled(input.backend) : undefined;
  const backend = profile ?? input.backend;
  const { train } = config;
  const begun = performance.now();
  let progress = input.resume?.progress ?? freshProgress;
  let savedAt = -1;

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
    const trainLoss = lossCount === 0 ? null : lossSum / lossCount;
    if (reason !== "interrupted") {
      progress = {
        step,
        lossSum: 0,
        lossCount: 0,
        best: isBest ? { step, valLoss } : best,
        evalsSinceBest: isBest ? 0 : progress.evalsSinceBest + 1,
      };
      if (isBest) await store?.saveBest(arenaReader(backend, trainer.model.arena), step);
    }
    return note({ v, type: "eval", step, trainLoss, valLoss, ...rest, reason, best: isBest });
  };

  /** Nothing where the signal breaks it off: no result depends on a sample. */
  async function* write(maxNewTokens: number): AsyncGenerator<SampleEvent, void, undefined> {
    let text = "";
    const stop = signal === undefined ? {} : { signal };
    for await (const event of generate(lm, { prompt: input.prompt, maxNewTokens, seed: train.seed, ...stop })) {
      if (event.type === "token") text += event.text;
      else if (event.finishReason === "aborted") return;
      await yieldToHost();
    }
    yield await note({ v, type: "sample", step: progress.step, prompt: input.prompt, text });
  }

  async function* save(): AsyncGenerator<CheckpointEvent, void, undefined> {
    const { step } = progress;
    if (store === null || savedAt === step) return;
    const path = await store.saveCheckpoint(stateOf(backend, trainer, progress));
    savedAt = step;
    yield await note({ v, type: "checkpoint", step, path });
  }

  try {
    if (input.resume !== null) {
      const { values, m, v } = input.resume.take();
      backend.write(trainer.model.arena.storage, values);
      backend.write(trainer.optimizer.moments.m.storage, m);
      backend.write(trainer.optimizer.moments.v.storage, v);
    }
    const tokensPerStep = train.batchSize * train.gradAccumSteps * config.model.contextLength;
    const lastStep = Math.min(train.steps, input.stopAt ?? train.steps);
    let outOfPatience = false;
    let lastEval: EvalEvent | undefined;

    /** What a step is followed by; also for a resumed run that was stopped before the step's evaluation was done. */
    async function* afterStep(): AsyncGenerator<TrainEvent, void, undefined> {
      const { step } = progress;
      if (isEvaluationDue(progress, train)) {
        lastEval = await measure(step === train.steps ? "end" : "interval", signal);
        if (lastEval === undefined) return;
        yield lastEval;
        if (step < train.steps && train.sampleTokens > 0) yield* write(train.sampleTokens);
        outOfPatience = train.patience > 0 && progress.evalsSinceBest >= train.patience && step < train.steps;
        if (outOfPatience) return;
      }
      if (step % train.checkpointInterval === 0 && step < train.steps) yield* save();
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
    while (progress.step < lastStep && !outOfPatience && !isAborted()) {
      const began = performance.now();
      const result = await trainer.step(progress.step);
      const seconds = (performance.now() - began) / 1000;
      const step = progress.step + 1;
      progress = {
        ...progress,
        step,
        lossSum: progress.lossSum + result.loss,
        lossCount: progress.lossCount + 1,
      };
      yield await note({ v, type: "step", step, ...result, tokensPerSecond: tokensPerStep / seconds });
      if (step > firstStep + 1) stepTimes.push(seconds);
      // Not noted: it depends on the clock and is of this process alone.
      if (step === firstStep + 1 + timedSteps && step < lastStep && !isAborted()) yield estimate();
      await yieldToHost();
      yield* afterStep();
    }

    const interrupted = !outOfPatience && (progress.step < train.steps || isEvaluationDue(progress, train));
    if (interrupted) {
      // Saved before it is measured: a second interruption while measuring must lose nothing.
      yield* save();
      if (lastEval?.step !== progress.step) {
        lastEval = await measure("interrupted");
        if (lastEval !== undefined) yield lastEval;
      }
    } else {
      if (input.finalSampleTokens > 0) yield* write(input.finalSampleTokens);
      yield* save();
    }
    if (lastEval === undefined) throw new Error("a run ends with an evaluation");
    const { step, best } = progress;
    const { valLoss } = lastEval;
    if (profile !== undefined) {
      const seconds = (performance.now() - begun) / 1000;
      // Not noted: it depends on the clock and is of this process alone.
      yield { v, type: "profile", step, seconds, kernels: profile.profile() };
    }
    yield await note({
      v,
      type: "done",
      step,
      reason: interrupted ? "interrupted" : outOfPatience ? "patience" : "finished",
      valLoss,
      bestValLoss: best?.valLoss ?? valLoss,
      bestStep: best?.step ?? step,
      out: store?.path ?? null,
    });
  } finally {
    trainer.close();
  }
}
