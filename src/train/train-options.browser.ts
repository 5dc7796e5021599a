/** Options of `train` where there are no files. */
import { z } from "zod";
import type { Backend } from "../backend/backend.ts";
import type { BackendChoice } from "../backend/select.browser.ts";
import type { RunConfig } from "../config/config.ts";
import { nonfiniteActions } from "../config/config.ts";
import type { PartialConfig } from "../config/merge.ts";
import { checkNoFields, checkTextOptions, mostTemplate } from "../config/options.ts";
import type { PresetName } from "../config/presets.ts";
import {
  checkBackendChoice,
  checkCallback,
  checkKeys,
  checkOptions,
  checkSignal,
} from "../core/checks/check-arguments.ts";
import { parseConfig, withoutUndefined } from "../core/checks/config.ts";
import { ConfigError } from "../core/errors/errors.ts";
import type { GivenDocument } from "../data/parse-document.ts";
import { type ExtendKind, extendKinds } from "../optim/config.ts";
import { checkLoad } from "../pretrained/check-load.ts";
import type { CheckpointFiles } from "../pretrained/files/names.ts";
import type { CheckpointSource } from "../pretrained/load.browser.ts";
import { checkGivenRun } from "../runs/resume/given-run.ts";
import type { OnAdapter, OnCheckpoint } from "./run/callbacks.ts";

/** Options of `train`. */
export interface TrainOptions {
  /** The text to train on. Give either `text` or `documents`. */
  readonly text?: string | undefined;
  /** A text to validate on. Default: the last `valFraction` of `text`. */
  readonly valText?: string | undefined;
  /**
   * Documents to train on, instead of a text. A document is a plain text or a conversation; in a conversation, the loss
   * counts only the answers. Attention never crosses from one document to another. A chat template runs on the training
   * thread, without limits on time and memory.
   */
  readonly documents?: readonly GivenDocument[] | undefined;
  /** Documents to validate on, instead of `valFraction`. Only with `documents`. */
  readonly valDocuments?: readonly GivenDocument[] | undefined;
  /** A Jinja chat template for conversations. It replaces the model's own template, and the checkpoints keep it. */
  readonly chatTemplate?: string | undefined;
  /**
   * Gets a notice of one line for the user, for example that documents were cut. Training waits for a returned promise.
   */
  readonly onNotice?: ((line: string) => void) | undefined;
  /** Fraction of the data to validate on, in (0, 1): the end of a text, or documents drawn at random. Default 0.1. */
  readonly valFraction?: number | undefined;
  /**
   * Default: a configuration that follows from the size of the text. The commands use `defaultPreset` if no text is
   * given.
   */
  readonly preset?: PresetName | undefined;
  /**
   * Weights to start from: the files of a checkpoint, the address of a checkpoint's directory, or the address of a
   * `.gguf` file. They determine the model and the tokenizer. Of the model's fields, only `dropout` may be changed;
   * with rotary position embeddings, `contextLength` and `position.scaling` too. The text may only have characters that
   * the tokenizer knows.
   */
  readonly initFrom?: CheckpointSource | undefined;
  /**
   * Whether the matrices of a GGUF file stay in blocks of 4 to 8 bits while adapters (`config.lora`) are trained. If
   * true, no other copy of the model is kept. Each product of a training step widens the matrix that it multiplies.
   * Evaluations and samples compute as the loaded model does, with 8-bit activations. If false, all matrices are
   * widened once. Default true.
   */
  readonly keepBlocks?: boolean | undefined;
  /** Changes to fields of the preset, for example `{ model: { nLayer: 6 }, train: { steps: 500 } }`. */
  readonly config?: PartialConfig<RunConfig> | undefined;
  /** Prompt of the samples. Default: the text's first word, or the first words of its prose after a heading. */
  readonly prompt?: string | undefined;
  /** Number of tokens of the sample at the end; 0 for no sample. Default 400. */
  readonly finalSampleTokens?: number | undefined;
  /** An opened backend, which the caller closes, or the name of a backend. Default "wasm". */
  readonly backend?: Backend | BackendChoice | undefined;
  /** Number of threads, if the backend is given by name. Default: all cores. */
  readonly threads?: number | undefined;
  /** Stops after this many updates. The learning-rate schedule is not shortened. */
  readonly stopAt?: number | undefined;
  /** Times the kernels, for a `profile` event before `done`. */
  readonly profile?: boolean | undefined;
  /**
   * A run to resume: the files that `onCheckpoint` got with "last", in a page or in Node, or the files of a run's
   * folder (`runFromFolder`). The run continues to its planned end, with the same bits as an uninterrupted run. Its
   * text or documents must be given again. Only the options below that say so may change the run.
   */
  readonly resume?: CheckpointFiles | undefined;
  /**
   * With `resume`: the new total number of steps, including the steps already done. The run keeps this number when it
   * is resumed again. Default: the planned number.
   */
  readonly steps?: number | undefined;
  /**
   * With `steps`: the learning rate from here on. "stretch" (default): the schedule of a run with the new total number
   * of steps. "restart": the schedule of a new run with the added steps. "constant": the last learning rate.
   */
  readonly extend?: ExtendKind | undefined;
  /** With `resume`: what to do at later steps that are not finite or explode. Default: as the run began. */
  readonly onNonfinite?: RunConfig["train"]["onNonfinite"] | undefined;
  /** Abort it to stop after the current step, with a last checkpoint. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Gets the model's files, in the form that `loadPretrained` reads: "last" at each checkpoint and at the end, "best"
   * after each evaluation with a new lowest validation loss; with `train.average`, also "averaged" after each evaluation
   * in which the averaged weights have a new lowest loss. Files of "last" also work for `resume`: they add the
   * optimizer's state and the run's events, and are three times as large. Training waits for a returned promise.
   */
  readonly onCheckpoint?: OnCheckpoint | undefined;
  /**
   * Like `onCheckpoint`, for a run with adapters (`config.lora`). It gets the adapter's files, which
   * `loadPretrained(model, { adapter })` reads.
   */
  readonly onAdapter?: OnAdapter | undefined;
}

/** Options for both new and resumed runs. */
const running = {
  text: z.string().optional(),
  valText: z.string().optional(),
  // TypeScript checks these types, and the code that uses the values checks them again.
  documents: z.unknown().optional(),
  valDocuments: z.unknown().optional(),
  onNotice: z.unknown().optional(),
  backend: z.unknown().optional(),
  signal: z.unknown().optional(),
  onCheckpoint: z.unknown().optional(),
  onAdapter: z.unknown().optional(),
  threads: z.int().min(1).max(256).optional(),
  stopAt: z.int().positive().optional(),
  profile: z.boolean().optional(),
};

const newRunSchema = z.strictObject({
  ...running,
  chatTemplate: z.string().min(1).max(mostTemplate).optional(),
  valFraction: z.number().gt(0).lt(1).optional(),
  preset: z.string().optional(),
  prompt: z.string().min(1).optional(),
  finalSampleTokens: z.int().min(0).default(400),
  // This value is checked after it is merged with the preset.
  config: z.unknown().optional(),
  initFrom: z.unknown().optional(),
  keepBlocks: z.boolean().optional(),
});

const resumedRunSchema = z.strictObject({
  ...running,
  resume: z.unknown(),
  steps: z.int().positive().optional(),
  extend: z.enum(extendKinds).optional(),
  onNonfinite: z.enum(nonfiniteActions).optional(),
});

const names = [...Object.keys(newRunSchema.shape), ...Object.keys(resumedRunSchema.shape), "worker"];

const checkResumed = (given: Readonly<Record<string, unknown>>): void => {
  const other = Object.keys(given).find((key) => key in newRunSchema.shape && !(key in running));
  if (other !== undefined) {
    throw new ConfigError({
      where: "resume",
      must: "options that change the run must be absent",
      got: other,
      hint: "a new run, or resume with the run's text and steps, extend, onNonfinite, stopAt or threads",
    });
  }
  parseConfig(resumedRunSchema, given, "train");
  if (given.extend !== undefined && given.steps === undefined) {
    throw new ConfigError({
      where: "extend",
      must: "must be used with steps, the new total number of steps",
      got: "no steps",
    });
  }
  checkGivenRun(given.resume, "train: resume");
};

/**
 * Checks the options of `train`, except the preset and the configuration. @throws ConfigError that names the first bad
 * option.
 */
export const checkedOptions = (options: TrainOptions) => {
  checkOptions("train: options", options);
  const given = withoutUndefined(options) as Readonly<Record<string, unknown>>;
  if (given.teacher !== undefined) {
    throw new ConfigError({
      where: "train: teacher",
      must: "must be left out in a page, where a run learns only from its text",
      got: "a teacher",
      hint: "training with teachers in Node",
    });
  }
  if (given.resume === undefined) checkNoFields(given, newRunSchema.shape);
  checkKeys("train", given, names);
  checkBackendChoice("train: backend", options.backend);
  checkSignal("train: signal", options.signal);
  checkCallback("train: onCheckpoint", options.onCheckpoint);
  checkCallback("train: onAdapter", options.onAdapter);
  checkCallback("train: onNotice", options.onNotice);
  const isResumed = given.resume !== undefined;
  if (isResumed) checkResumed(given);
  const settled = isResumed ? { finalSampleTokens: 400 } : parseConfig(newRunSchema, given, "train");
  checkTextOptions(given);
  if (options.text === undefined && options.documents === undefined) {
    throw new ConfigError({ where: "train: text", must: "there must be a text, or documents", got: "neither" });
  }
  if (options.initFrom !== undefined) checkLoad(options.initFrom, {}, true, "train: initFrom");
  return { ...options, finalSampleTokens: settled.finalSampleTokens };
};
