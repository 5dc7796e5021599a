/** Training and evaluation on a string: in a page, or wherever there are no files. */

import { z } from "zod";
import type { Backend } from "../backend/backend.ts";
import { type BackendChoice, openBackend } from "../backend/select.browser.ts";
import type { RunConfig } from "../config/config.ts";
import type { PartialConfig } from "../config/merge.ts";
import { checkNoFields, checkTextOptions, mostTemplate } from "../config/options.ts";
import type { PresetName } from "../config/presets.ts";
import {
  checkBackendChoice,
  checkCallback,
  checkKeys,
  checkLanguageModel,
  checkOptions,
  checkSignal,
} from "../core/checks/check-arguments.ts";
import { parseConfig, withoutUndefined } from "../core/checks/config.ts";
import { ConfigError } from "../core/errors/errors.ts";
import type { GivenDocument } from "../data/parse-document.ts";
import { dataToMeasure, type EvaluateOptions } from "../evaluate/data.browser.ts";
import type { Evaluation } from "../evaluate/evaluate.ts";
import { evaluateCorpus } from "../evaluate/evaluate-corpus.ts";
import { architectureOf } from "../models/hugging-face/hugging-face.ts";
import { checkLoad } from "../pretrained/check-load.ts";
import { type CheckpointSource, readPretrained } from "../pretrained/load.browser.ts";
import type { LanguageModel } from "../pretrained/model/language-model.ts";
import { givenOnce } from "../runs/begin/initial-weights.ts";
import type { TrainEvent } from "../runs/events.ts";
import { runAlone } from "../trainer/team.ts";
import { prepareGiven } from "./prepare/given.ts";
import { checkFits, configOfWeights, drawnState, firstState } from "./prepare/initial.ts";
import { checkLora } from "./prepare/lora.ts";
import { estimateMemory } from "./prepare/memory.ts";
import { bytesOfTokens, checkStopAt, planConfig, withDType } from "./prepare/prepare.ts";
import { handedTo, type OnAdapter, type OnCheckpoint } from "./run/callbacks.ts";
import { handingOut } from "./run/hand-out.ts";
import { run } from "./run/run.ts";

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
   * Weights to begin with: a checkpoint's files, or the address of the directory that serves them. Model and tokenizer
   * are theirs; of the model's fields only `dropout` may differ and, with rotary positions, `contextLength` and
   * `position.scaling`. The text may have no other characters than the tokenizer.
   */
  readonly initFrom?: CheckpointSource | undefined;
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
  readonly onCheckpoint?: OnCheckpoint | undefined;
  /**
   * The same for a run with adapters (`config.lora`): gets their files, in the form for `loadPretrained(model, { adapter })`.
   */
  readonly onAdapter?: OnAdapter | undefined;
}

const optionsSchema = z.strictObject({
  text: z.string().optional(),
  valText: z.string().optional(),
  documents: z.unknown().optional(),
  valDocuments: z.unknown().optional(),
  chatTemplate: z.string().min(1).max(mostTemplate).optional(),
  onNotice: z.unknown().optional(),
  valFraction: z.number().gt(0).lt(1).optional(),
  preset: z.string().optional(),
  prompt: z.string().min(1).optional(),
  finalSampleTokens: z.int().min(0).default(400),
  threads: z.int().min(1).max(256).optional(),
  stopAt: z.int().positive().optional(),
  profile: z.boolean().optional(),
  // Checked after it is merged with the preset.
  config: z.unknown().optional(),
  // Checked by TypeScript, and where they are used.
  initFrom: z.unknown().optional(),
  backend: z.unknown().optional(),
  signal: z.unknown().optional(),
  onCheckpoint: z.unknown().optional(),
  onAdapter: z.unknown().optional(),
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
  checkNoFields(withoutUndefined(options), optionsSchema.shape);
  checkKeys("train", withoutUndefined(options), [...Object.keys(optionsSchema.shape), "worker"]);
  checkBackendChoice("train: backend", options.backend);
  checkSignal("train: signal", options.signal);
  checkCallback("train: onCheckpoint", options.onCheckpoint);
  checkCallback("train: onAdapter", options.onAdapter);
  checkCallback("train: onNotice", options.onNotice);
  const { text, valText, valFraction, preset, finalSampleTokens, threads, stopAt, profile, ...rest } = parseConfig(
    optionsSchema,
    withoutUndefined(options),
    "train",
  );
  const { documents, valDocuments, chatTemplate } = options;
  checkTextOptions({ text, valText, documents, valDocuments, valFraction });
  if (text === undefined && documents === undefined) {
    throw new ConfigError({ where: "train: text", must: "there must be a text, or documents", got: "neither" });
  }
  checkStopAt(stopAt, 0);
  const { initFrom } = options;
  if (initFrom !== undefined) checkLoad(initFrom, {}, true, "train: initFrom");
  const initial = initFrom === undefined ? null : givenOnce(await readPretrained(initFrom));
  const parts = initial === null ? null : configOfWeights(initial);
  const plan = planConfig(preset, [rest.config ?? {}], "config", parts);
  checkLora(plan.expected, initial !== null, options);
  if (initial !== null) checkFits(initial, plan.expected);
  const given = documents === undefined ? { text: text ?? "", valText } : { documents, valDocuments };
  const { prepared, facts, prompt } = await prepareGiven(plan, given, initial, {
    ...{ valFraction, chatTemplate, prompt: rest.prompt },
    onNotice: async (line) => options.onNotice?.(line),
  });
  const { config, tokenizer } = prepared;
  prepared.tokenizer.encode(prompt, "prompt");
  const { backend = "wasm", signal } = options;
  const handed = handedTo(options);
  // A model that is given out must have a class of `transformers`.
  if (handed !== null) architectureOf(config.model);
  signal?.throwIfAborted();
  const opened =
    typeof backend === "string"
      ? await openBackend(backend, { threads, dtype: config.train.dtype === "bfloat16" ? "bfloat16" : "float32" })
      : backend;
  try {
    const settled = withDType(config, opened);
    const { val } = prepared;
    const memory = await estimateMemory(settled, {
      vocabSize: tokenizer.vocabSize,
      valTokens: val.ids.length,
      sampleTokens: Math.max(settled.train.sampleTokens, finalSampleTokens),
      saved: handed !== null,
      resumed: initial !== null && settled.lora === undefined,
      text: bytesOfTokens(prepared),
      longestRow: prepared.documents?.longestRow,
      reading: 0,
      program: 0,
      kind: { ...opened.capabilities, name: opened.name },
    });
    const first = initial === null ? drawnState : firstState(initial, settled);
    const base = { name: null, fused: facts?.fused, sha256: initial?.sha256 };
    yield* run({
      ...prepared,
      memory,
      availableMemory: null,
      config: settled,
      backend: opened,
      corpus: documents === undefined ? "text" : "documents",
      facts,
      prompt,
      finalSampleTokens,
      store: handingOut(null, options, { ...prepared, facts }, base),
      ...first,
      initFrom: initial?.where ?? null,
      stopAt,
      profile,
      team: runAlone(signal),
    });
  } finally {
    if (opened !== backend) await opened.close();
  }
}

/**
 * A model's cross-entropy on a text: every token after the first is predicted once, in non-overlapping windows.
 * @param lm a model of `loadPretrained` or `languageModel`.
 * @param options the text, or documents, of which the loss counts the answers.
 * @throws ConfigError for a loss that is not finite, DataError for a text of fewer than two tokens or a character that
 *   the tokenizer lacks, unless `unknown` is "skip".
 * @example
 * ```ts
 * import { evaluate, loadPretrained } from "foretoken/browser";
 *
 * const lm = await loadPretrained("https://example.org/checkpoint");
 * console.log((await evaluate(lm, { text: "The end." })).natsPerToken);
 * await lm.close();
 * ```
 */
export const evaluate = async (lm: LanguageModel, options: EvaluateOptions): Promise<Evaluation> => {
  checkLanguageModel("evaluate: model", lm, "its own method, lm.evaluate({ text })");
  return evaluateCorpus(lm, ...(await dataToMeasure(lm, options)));
};
