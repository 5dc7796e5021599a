/** Training and evaluation on a string: in a page, or wherever there are no files. */

import { z } from "zod";
import type { Backend } from "../backend/backend.ts";
import { type BackendChoice, openBackend } from "../backend/select.browser.ts";
import {
  checkBackendChoice,
  checkCallback,
  checkKeys,
  checkLanguageModel,
  checkOptions,
  checkSignal,
  checkText,
} from "../core/check-arguments.ts";
import { parseConfig, withoutUndefined } from "../core/config.ts";
import { ConfigError } from "../core/errors.ts";
import { firstWord, splitText } from "../data/corpus.ts";
import { architectureOf } from "../models/hugging-face/hugging-face.ts";
import type { LanguageModel } from "../pretrained/language-model.ts";
import type { CheckpointFiles } from "../pretrained/load.browser.ts";
import { checkpointFiles } from "../pretrained/save.browser.ts";
import { trainTokenizer } from "../tokenizer/registry.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import type { RunConfig } from "./config/config.ts";
import type { PartialConfig } from "./config/merge.ts";
import { defaultPreset, type PresetName } from "./config/presets.ts";
import type { TrainEvent } from "./events.ts";
import type { Evaluation } from "./measuring/evaluate.ts";
import { evaluateCorpus, type MeasuredCorpus, type Measuring } from "./measuring/evaluate-corpus.ts";
import { estimateMemory } from "./prepare/memory.ts";
import { checkStopAt, prepare, resolveConfig, withDType } from "./prepare/prepare.ts";
import { run } from "./run/run.ts";
import type { RunStore } from "./run/run-input.ts";

/** Options of `train`. */
export interface TrainOptions {
  /** The text to train on. */
  readonly text: string;
  /** A text to validate on; else the last `valFraction` of `text`. */
  readonly valText?: string | undefined;
  /** In (0, 1); default 0.1. */
  readonly valFraction?: number | undefined;
  /** Default: `defaultPreset`. */
  readonly preset?: PresetName | undefined;
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
  /** Abort to stop after the current step, with a last checkpoint. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Gets the model at each checkpoint, at the end at the latest ("last"), and whenever its validation loss is the
   * lowest so far ("best"), in the form for `loadPretrained`. Training waits for the promise.
   */
  readonly onCheckpoint?: ((files: CheckpointFiles, which: "last" | "best") => void | Promise<void>) | undefined;
}

const optionsSchema = z.strictObject({
  text: z.string(),
  valText: z.string().optional(),
  valFraction: z.number().gt(0).lt(1).optional(),
  preset: z.string().default(defaultPreset),
  prompt: z.string().min(1).optional(),
  finalSampleTokens: z.int().min(0).default(400),
  threads: z.int().min(1).max(256).optional(),
  stopAt: z.int().positive().optional(),
  profile: z.boolean().optional(),
  // Checked after it is merged with the preset.
  config: z.unknown().optional(),
  // Checked by TypeScript, and where they are used.
  backend: z.unknown().optional(),
  signal: z.unknown().optional(),
  onCheckpoint: z.unknown().optional(),
});

const storeFor = (
  onCheckpoint: NonNullable<TrainOptions["onCheckpoint"]>,
  { model }: RunConfig,
  tokenizer: Tokenizer,
): RunStore => ({
  path: "onCheckpoint",
  record: async () => {},
  async saveCheckpoint({ weights }) {
    await onCheckpoint(await checkpointFiles(model, tokenizer, weights.read), "last");
    return "onCheckpoint";
  },
  async saveBest(values) {
    await onCheckpoint(await checkpointFiles(model, tokenizer, values), "best");
  },
});

/**
 * Trains a model on a text and yields events: `start`, a `step` for each update, `eval`, `sample`, `checkpoint`,
 * `done`. Same options and backend: same bits, with any number of threads, and the same as on Node's `wasm` backend.
 * It computes on the calling thread.
 *
 * Leaving the loop, by `break` or an error of its own, ends the run without saving: the steps since the last call of
 * `onCheckpoint` are lost. To keep them, abort `signal` and take the events to the end.
 *
 * @throws ConfigError for options that cannot work, DataError for text that cannot be used, UnsupportedKernelError for
 *   a backend that the page lacks.
 */
export async function* train(options: TrainOptions): AsyncGenerator<TrainEvent, void, undefined> {
  checkOptions("train: options", options);
  checkBackendChoice("train: backend", options.backend);
  checkSignal("train: signal", options.signal);
  checkCallback("train: onCheckpoint", options.onCheckpoint);
  const { text, valText, valFraction, preset, finalSampleTokens, threads, stopAt, profile, ...rest } = parseConfig(
    optionsSchema,
    withoutUndefined(options),
    "train",
  );
  if (valText !== undefined && valFraction !== undefined) {
    throw new ConfigError({
      where: "valText and valFraction",
      must: "only one of them may say what is held out",
      got: "both",
      hint: "one of them",
    });
  }
  checkStopAt(stopAt, 0);
  const config = resolveConfig(preset, [rest.config ?? {}]);
  const split = valText === undefined ? splitText(text, valFraction) : { train: text, val: valText };
  const prepared = prepare(config, split, trainTokenizer(config.tokenizer, split.train, split.val));
  const prompt = rest.prompt ?? firstWord(text);
  prepared.tokenizer.encode(prompt, "prompt");
  const { backend = "wasm", signal, onCheckpoint } = options;
  // A model that is given out must have a class of `transformers`.
  if (onCheckpoint !== undefined) architectureOf(config.model);
  signal?.throwIfAborted();
  const opened =
    typeof backend === "string"
      ? await openBackend(backend, { threads, dtype: config.train.dtype === "bfloat16" ? "bfloat16" : "float32" })
      : backend;
  try {
    const settled = withDType(config, opened);
    const { tokenizer, trainTokens, val } = prepared;
    const memory = await estimateMemory(settled, {
      vocabSize: tokenizer.vocabSize,
      valTokens: val.ids.length,
      sampleTokens: Math.max(settled.train.sampleTokens, finalSampleTokens),
      saved: onCheckpoint !== undefined,
      resumed: false,
      text: trainTokens.byteLength + val.ids.byteLength,
      reading: 0,
      program: 0,
      kind: { ...opened.capabilities, name: opened.name },
    });
    yield* run({
      ...prepared,
      memory,
      availableMemory: null,
      config: settled,
      backend: opened,
      corpus: "text",
      prompt,
      finalSampleTokens,
      store: onCheckpoint === undefined ? null : storeFor(onCheckpoint, config, prepared.tokenizer),
      resume: null,
      stopAt,
      profile,
      signal,
    });
  } finally {
    if (opened !== backend) await opened.close();
  }
}

/** Options of `evaluate`. */
export interface EvaluateOptions extends Omit<Measuring, "split"> {
  /** The text to measure on, all of it. */
  readonly text: string;
}

/** A text to measure from end to end. */
export const wholeText = (text: string): MeasuredCorpus => ({
  ...{ name: "text", train: "", val: text },
  parts: [{ where: "text", start: 0 }],
});

/**
 * A model's cross-entropy on a text: every token after the first is predicted once, in non-overlapping windows.
 * @throws ConfigError for a loss that is not finite, DataError for a text of fewer than two tokens or a character that
 *   the tokenizer lacks.
 */
export const evaluate = async (lm: LanguageModel, options: EvaluateOptions): Promise<Evaluation> => {
  checkLanguageModel("evaluate: model", lm, "its own method, lm.evaluate({ text })");
  checkKeys("evaluate", options, ["text", "signal", "onProgress"]);
  const { text, ...measuring } = options;
  checkText("evaluate: text", text);
  return evaluateCorpus(lm, wholeText(text), { ...measuring, split: "all" });
};
