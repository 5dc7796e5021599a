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
import type { CheckpointFiles } from "../pretrained/files/checkpoint-files.ts";
import type { CheckpointSource } from "../pretrained/load.browser.ts";
import { checkGivenRun } from "../runs/resume/given-run.ts";
import type { OnAdapter, OnCheckpoint } from "./run/callbacks.ts";

/** Options of `train`. */
export interface TrainOptions {
  /** The text to train on; or `documents`. */
  readonly text?: string | undefined;
  /** A text to validate on; else the last `valFraction` of `text`. */
  readonly valText?: string | undefined;
  /**
   * Documents to learn from, instead of a text: conversations, of which the loss counts the answers, and plain texts. They
   * do not see each other. A chat template runs on the thread of the training, without bounds of time and memory.
   */
  readonly documents?: readonly GivenDocument[] | undefined;
  /** Documents to validate on, instead of `valFraction`; with `documents` only. */
  readonly valDocuments?: readonly GivenDocument[] | undefined;
  /** A chat template in Jinja for conversations, instead of the model's own, of which its checkpoints keep it. */
  readonly chatTemplate?: string | undefined;
  /** Gets one line for the user, such as that documents were cut. A promise is waited for. */
  readonly onNotice?: ((line: string) => void) | undefined;
  /** In (0, 1); default 0.1. Of documents so many are drawn; of a text it is the end. */
  readonly valFraction?: number | undefined;
  /** Default: a configuration that follows from the text's size. Without a text, the commands train `defaultPreset`. */
  readonly preset?: PresetName | undefined;
  /**
   * Weights to begin with: a checkpoint's files, or the address of the directory that serves them, or of a file that ends in `.gguf`.
   * Model and tokenizer are theirs; of the model's fields only `dropout` may differ and, with rotary positions, `contextLength` and
   * `position.scaling`. The text may have no other characters than the tokenizer.
   */
  readonly initFrom?: CheckpointSource | undefined;
  /**
   * With adapters (`config.lora`) for a GGUF file whose matrices are in blocks of 4 to 8 bits: whether these stay so. Then nothing of
   * the model is kept in another form; each product of a training step widens the matrix that it multiplies, and evaluations
   * and samples compute as those of the loaded model do, with activations of 8 bits. false: they are widened once. Default true.
   */
  readonly keepBlocks?: boolean | undefined;
  /** Fields to change in the preset, as `{ model: { nLayer: 6 }, train: { steps: 500 } }`. */
  readonly config?: PartialConfig<RunConfig> | undefined;
  /** Prompt of the samples; default: the text's first word. */
  readonly prompt?: string | undefined;
  /** Tokens to write at the end; 0: none. Default 400. */
  readonly finalSampleTokens?: number | undefined;
  /** An opened backend (yours to close), or the name of one. Default "wasm". */
  readonly backend?: Backend | BackendChoice | undefined;
  /** Threads of a backend opened here; default: all cores. */
  readonly threads?: number | undefined;
  /** End after this many updates; the schedule stays the whole run's. */
  readonly stopAt?: number | undefined;
  /** Time the kernels, for a `profile` event before `done`. */
  readonly profile?: boolean | undefined;
  /**
   * The files that `onCheckpoint` got with "last", of a run in a page or in Node, or those of a run's folder
   * (`runFromFolder`): the run goes on from there to its planned end, with the bits of an uninterrupted one. Its text, or
   * its documents, must be given with it; only the options below that say so may change the run, or how it runs.
   */
  readonly resume?: CheckpointFiles | undefined;
  /** With `resume`: a new number of all steps, those done included. It becomes the run's plan. Default: as planned. */
  readonly steps?: number | undefined;
  /**
   * With `steps`: the learning rate from here on. "stretch", the default: that of a run of so many steps from its beginning.
   * "restart": that of a new run of the added steps. "constant": the last one.
   */
  readonly extend?: ExtendKind | undefined;
  /** With `resume`: action at a step that is not finite or explodes, from here on. Default: as the run began. */
  readonly onNonfinite?: RunConfig["train"]["onNonfinite"] | undefined;
  /** Abort to stop after the current step, with a last checkpoint. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Gets the model at each checkpoint, at the end at the latest ("last"), and whenever its validation loss is the
   * lowest so far ("best"), in the form for `loadPretrained`. The files of "last" are also those for `resume`: they have the
   * optimizer's state and the run's notes, and three times the bytes. Training waits for the promise.
   */
  readonly onCheckpoint?: OnCheckpoint | undefined;
  /**
   * The same for a run with adapters (`config.lora`): gets their files, in the form for `loadPretrained(model, { adapter })`.
   */
  readonly onAdapter?: OnAdapter | undefined;
}

/** Options of new and of resumed runs. */
const running = {
  text: z.string().optional(),
  valText: z.string().optional(),
  // Checked by TypeScript, and where they are used.
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
  // Checked after it is merged with the preset.
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
      must: "nothing that would change the run may be given with it",
      got: other,
      hint: "a new run, or resume with the run's text and steps, extend, onNonfinite, stopAt or threads",
    });
  }
  parseConfig(resumedRunSchema, given, "train");
  if (given.extend !== undefined && given.steps === undefined) {
    throw new ConfigError({
      where: "extend",
      must: "must go with steps, the new number of all steps",
      got: "no steps",
    });
  }
  checkGivenRun(given.resume, "train: resume");
};

/** The options of `train`, checked, except the preset and the config. @throws ConfigError naming the first bad one. */
export const checkedOptions = (options: TrainOptions) => {
  checkOptions("train: options", options);
  const given = withoutUndefined(options) as Readonly<Record<string, unknown>>;
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
