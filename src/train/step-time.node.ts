/**
 * Times a few small steps of a planned model, to estimate how long its run takes. The run would use the same model,
 * backend, threads and number type, but a larger batch. The ids and the weights are random.
 */
import type { Backend } from "../backend/backend.ts";
import type { BackendChoice } from "../backend/choices.node.ts";
import { openBackend } from "../backend/select.node.ts";
import type { RunConfig } from "../config/config.ts";
import { randomKey, randomStream } from "../core/random.ts";
import { yieldToHost } from "../core/system/yield.ts";
import { median } from "../runs/time-left.ts";
import { passesOfText, passesPerStep, tokensOfPass } from "../trainer/passes.ts";
import { type Division, divisionFor } from "../trainer/passes-beside.ts";
import { tokensOfSlice } from "../trainer/slices.ts";
import { alone } from "../trainer/team.ts";
import { trainerOn } from "../trainer/trainer.ts";

/** Speed of a run's steps. */
export interface StepTime {
  /** Seconds of the forward and the backward pass, per token. */
  readonly tokenSeconds: number;
  /** Seconds of the update, which is done once per step. */
  readonly updateSeconds: number;
}

export interface TimedModel {
  /** The number type is not "auto". */
  readonly config: RunConfig;
  readonly vocabSize: number;
  readonly backend?: BackendChoice | undefined;
  readonly threads?: number | undefined;
}

/**
 * Maximum of parameters × tokens in a timed step, by backend. On two cores with AMX, a step at the maximum of `native`
 * takes 0.2 seconds; the first step takes several times as long. Other cores are slower.
 */
const mostWork: Readonly<Record<string, number>> = { native: 2 ** 35, wasm: 2 ** 32, reference: 2 ** 24 };

/** A smaller step: passes with the sizes of a slice, divided between the threads like the passes of the run. */
interface SmallStep {
  readonly config: RunConfig;
  readonly tokensOfPass: number;
  readonly tokens: number;
  readonly division: Division | undefined;
}

/**
 * A step of one slice per branch of a step (passes-beside.ts). If a step has no branches, the result is a step of one
 * pass with two slices.
 */
const smallStep = (config: RunConfig, backend: Backend): SmallStep => {
  const { model, train } = config;
  // Only runs on documents have `rows`.
  const kind = train.rows === undefined ? "windows" : "documents";
  const division = divisionFor(backend, { kind })(passesPerStep(config, kind));
  const [passes, slices] = division === undefined ? [1, 2] : [division.branches, 1];
  const most = Math.min(slices * tokensOfSlice(config), tokensOfPass(config));
  const rows = Math.min(train.batchSize, Math.max(1, Math.floor(most / model.contextLength)));
  const isWhole = passes * rows >= train.batchSize * train.gradAccumSteps;
  const [batchSize, gradAccumSteps] = isWhole ? [train.batchSize, train.gradAccumSteps] : [passes * rows, 1];
  return {
    config: { ...config, train: { ...train, batchSize, gradAccumSteps, windows: "random" } },
    tokensOfPass: isWhole ? tokensOfPass(config) : rows * model.contextLength,
    tokens: batchSize * gradAccumSteps * model.contextLength,
    division,
  };
};

/** Whether steps of the model can be timed in a few seconds. Attention costs as much as more parameters would. */
export const isQuickToTime = (config: RunConfig, parameters: number, backend: Backend): boolean => {
  const { nLayer, nEmbd, contextLength } = config.model;
  const cost = parameters + nLayer * nEmbd * contextLength;
  return cost * smallStep(config, backend).tokens <= (mostWork[backend.name] ?? 0);
};

/** Minimum and maximum number of timed steps, and seconds after which no further step begins. */
const [fewestTimed, mostTimed, timedSeconds] = [2, 60, 0.4];

/**
 * Times steps: after a step to warm up, the median of the next steps.
 * @throws the reason of `signal` if it is aborted, at the end of a step.
 */
export const timeSteps = async (
  { config, vocabSize, backend: choice, threads }: TimedModel,
  signal?: AbortSignal,
): Promise<StepTime> => {
  signal?.throwIfAborted();
  const backend = await openBackend(choice ?? "auto", { threads, dtype: config.train.dtype, manyRows: true });
  try {
    const small = smallStep(config, backend);
    const random = randomStream(randomKey(1, "batches"));
    const ids = Int32Array.from({ length: 8 * config.model.contextLength + 1 }, () => random.integer(vocabSize));
    const source = passesOfText(small.config, ids, small.tokensOfPass);
    const trainer = trainerOn(backend, small.config, vocabSize, source, alone, () => small.division);
    try {
      trainer.restore(null);
      const measures: number[] = [];
      const updates: number[] = [];
      let began = performance.now();
      for (let step = 0; step <= mostTimed; step++) {
        const from = performance.now();
        const measured = await trainer.measure(step);
        const middle = performance.now();
        await trainer.update(step, measured);
        // Waits until the kernels of the update have ended.
        await backend.read(trainer.model.arena.storage, 0, 1);
        const to = performance.now();
        if (step === 0) began = to;
        else {
          measures.push((middle - from) / 1000);
          updates.push((to - middle) / 1000);
        }
        await yieldToHost();
        signal?.throwIfAborted();
        if (step >= fewestTimed && to - began > 1000 * timedSeconds) break;
      }
      return { tokenSeconds: (median(measures) ?? 0) / small.tokens, updateSeconds: median(updates) ?? 0 };
    } finally {
      trainer.close();
    }
  } finally {
    await backend.close();
  }
};
