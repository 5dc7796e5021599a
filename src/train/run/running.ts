/** A run in progress. */

import type { Backend } from "../../backend/backend.ts";
import { type ProfiledBackend, profiled } from "../../backend/observers/profiled.ts";
import { closeOnError } from "../../core/errors/close-on-error.ts";
import type { Model } from "../../models/model.ts";
import { placeModel } from "../../pretrained/files/weights.ts";
import { type LanguageModel, type LanguageModelFacts, languageModel } from "../../pretrained/model/language-model.ts";
import type { TrainEvent } from "../../runs/events.ts";
import type { BaseWeights } from "../../runs/store.ts";
import { beginOf } from "../../tokenizer/begin.ts";
import { createTrainer, type Trainer } from "../../trainer/trainer.ts";
import { createRollback, type Rollback } from "../faults/rollback.ts";
import { firstPosition, type Position } from "./position.ts";
import type { RunInput } from "./run-input.ts";

/** A run in progress: its fixed parts and its position. */
export interface Running {
  readonly input: RunInput;
  /** The run's backend; with `profile`, it also times the kernels. */
  readonly backend: Backend;
  readonly profile: ProfiledBackend | null;
  readonly trainer: Trainer;
  readonly lm: LanguageModel;
  readonly rollback: Rollback | null;
  /** Number of updates done before this process, and the update at which the run ends or stops. */
  readonly firstStep: number;
  readonly lastStep: number;
  /** Start time in milliseconds, from `performance.now()`. */
  readonly begun: number;
  readonly position: Position;
}

/**
 * Whether the run's first state follows from its seed: always for adapters; for other runs if the weights were drawn at
 * random.
 */
export const isDrawn = ({ config, initFrom }: Pick<RunInput, "config" | "initFrom">): boolean =>
  config.lora !== undefined || initFrom === null;

const factsOf = ({ facts }: RunInput): LanguageModelFacts =>
  facts === undefined ? {} : { chatTemplate: facts.chatTemplate, endTokens: facts.endTokens };

/**
 * Fills the frozen weights under adapters. The arrays are passed on and released, so that their memory is free
 * afterwards.
 */
const fillBase = async (base: Model, weights: BaseWeights): Promise<void> => {
  if (weights.kind === "blocks") await weights.readInto(base);
  else base.writeWeights(weights.take(), 0);
};

/** Places the models that a run learns from in the backend's memory. If it fails, nothing stays allocated. */
const placeTeachers = async (backend: Backend, { teachers = [] }: RunInput): Promise<readonly Model[]> => {
  const placed: Model[] = [];
  try {
    for (const { config, tokenizer, weights } of teachers) {
      const { vocabSize } = tokenizer;
      const keeping = { freeze: true, keepBlocks: false };
      const model = await placeModel(backend, { config, vocabSize, weights }, keeping);
      placed.push(model);
      // The rounded copies are made here, because recorded calls only read them.
      model.rounded();
    }
  } catch (error) {
    for (const model of placed) model.close();
    throw error;
  }
  return placed;
};

/** Creates a run's parts, in its first or its resumed state. `trainer.close` frees their memory. */
export const setUp = async (input: RunInput): Promise<Running> => {
  const { config, tokenizer, store, resume } = input;
  const { train } = config;
  const begun = performance.now();
  const profile = input.profile === true ? profiled(input.backend) : null;
  const backend = profile ?? input.backend;
  const teachers = await placeTeachers(backend, input);
  const closeTeachers = (): void => {
    for (const teacher of teachers) teacher.close();
  };
  const alone = closeOnError(closeTeachers, () =>
    createTrainer(
      backend,
      config,
      tokenizer.vocabSize,
      input.documents?.train ?? input.trainTokens,
      input.team,
      input.base?.kind === "blocks" ? input.base.rows : [],
      beginOf(tokenizer),
      teachers,
    ),
  );
  const trainer: Trainer = {
    ...alone,
    close() {
      alone.close();
      closeTeachers();
    },
  };
  try {
    if (input.base !== null && trainer.base !== null) await fillBase(trainer.base, input.base);
    if (resume !== null) trainer.restore(resume.take());
  } catch (error) {
    trainer.close();
    throw error;
  }
  const position = firstPosition(input, train);
  return {
    input,
    backend,
    profile,
    trainer,
    lm: languageModel(trainer.model, tokenizer, undefined, factsOf(input)),
    rollback: train.onNonfinite === "rollback" ? createRollback(trainer, train, store, isDrawn(input)) : null,
    firstStep: position.progress.step,
    lastStep: Math.min(train.steps, input.stopAt ?? train.steps),
    begun,
    position,
  };
};

/** Records an event in the store, and returns it. */
export const note = async <E extends TrainEvent>({ store }: Pick<RunInput, "store">, event: E): Promise<E> => {
  await store?.record(event);
  return event;
};

/** Whether the run was asked to stop; equal on all machines. */
export const isAborted = ({ team }: RunInput): boolean => team.agreed?.aborted === true;
