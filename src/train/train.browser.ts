/** Trains and evaluates on a string: in a page, or wherever there are no files. */

import type { Backend } from "../backend/backend.ts";
import { openBackend } from "../backend/select.browser.ts";
import type { RunConfig } from "../config/config.ts";
import { checkLanguageModel } from "../core/checks/check-arguments.ts";
import { CheckpointError, ConfigError } from "../core/errors/errors.ts";
import { dataToMeasure, type EvaluateOptions } from "../evaluate/data.browser.ts";
import type { Evaluation } from "../evaluate/evaluate.ts";
import { evaluateCorpus } from "../evaluate/evaluate-corpus.ts";
import { canDigest } from "../io/manifest-in-memory.ts";
import { architectureOf } from "../models/architectures/architecture-of.ts";
import { keptFacts } from "../pretrained/files/pretrained-files.ts";
import { type CheckpointSource, openCheckpoint } from "../pretrained/load.browser.ts";
import type { LanguageModel } from "../pretrained/model/language-model.ts";
import { initialWeightsOf } from "../runs/begin/initial-weights.ts";
import type { TrainEvent } from "../runs/events.ts";
import { brokenOff, endOf, missingEnd } from "../runs/resume/ended-run.ts";
import { readGivenRun } from "../runs/resume/given-run.ts";
import { notesMender } from "../runs/resume/mended-notes.ts";
import { type GivenData, keptPlaces, type RunData } from "../runs/run-schemas.ts";
import type { BrokenOff } from "../runs/store.ts";
import { runAlone } from "../trainer/team.ts";
import { type PreparedGiven, prepareGiven } from "./prepare/given.ts";
import { configToGoOn, hasEnded } from "./prepare/go-on.ts";
import { checkFits, configOfWeights, drawnState, type FirstState, firstState } from "./prepare/initial.ts";
import { asksForLora, checkHandOut, checkKeptBlocks, checkLora } from "./prepare/lora.ts";
import { estimateMemory } from "./prepare/memory.ts";
import { noRateNotice } from "./prepare/no-rate.ts";
import { bytesOfTokens, checkStopAt, planConfig, settledPlan, withDType } from "./prepare/prepare.ts";
import { checkNoTeachers } from "./prepare/teachers.ts";
import { handedTo } from "./run/callbacks.ts";
import { type HandedOutRun, handingOut } from "./run/hand-out.ts";
import { run } from "./run/run.ts";
import { checkedOptions, type TrainOptions } from "./train-options.browser.ts";

export type { TrainOptions } from "./train-options.browser.ts";

type Events = AsyncGenerator<TrainEvent, void, undefined>;
type Checked = ReturnType<typeof checkedOptions>;

const dataOf = ({ text, valText, documents, valDocuments }: TrainOptions): GivenData =>
  documents === undefined ? { text: text ?? "", valText } : { documents, valDocuments };

const toldTo =
  ({ onNotice }: TrainOptions) =>
  async (line: string): Promise<void> =>
    onNotice?.(line);

/** A run that is ready to compute. */
interface ReadyRun extends PreparedGiven {
  readonly first: FirstState;
  /** null if the text has no hash; then the run cannot be resumed. */
  readonly data: RunData | null;
  /** What to do at steps that are not finite, as the run's description says. */
  readonly onNonfinite: RunConfig["train"]["onNonfinite"];
  readonly finalSampleTokens: number;
  readonly initFrom: { readonly path: string; readonly sha256: string | null } | null;
  readonly past?: HandedOutRun["past"];
  readonly broken?: BrokenOff | undefined;
}

/** Opens the backend, and trains. */
async function* compute(options: Checked, ready: ReadyRun): Events {
  const { backend = "wasm", threads, stopAt, profile, signal } = options;
  const { prepared, facts, prompt, first, data, finalSampleTokens, initFrom } = ready;
  const { config, tokenizer, val } = prepared;
  const { dtype } = config.train;
  signal?.throwIfAborted();
  const opened: Backend =
    typeof backend === "string"
      ? await openBackend(backend, { threads, dtype: dtype === "bfloat16" ? "bfloat16" : "float32" })
      : backend;
  try {
    const settled = withDType(config, opened);
    const noRate = noRateNotice(settled.train, ready.first.resume?.progress.step ?? 0);
    if (noRate !== undefined) await toldTo(options)(noRate);
    const memory = await estimateMemory(settled, {
      vocabSize: tokenizer.vocabSize,
      valTokens: val.ids.length,
      sampleTokens: Math.max(settled.train.sampleTokens, finalSampleTokens),
      saved: handedTo(options) !== null,
      resumed: first.resume !== null,
      text: bytesOfTokens(prepared),
      longestRow: prepared.documents?.longestRow,
      reading: 0,
      program: 0,
      kind: { ...opened.capabilities, name: opened.name },
      baseRows: first.base?.kind === "blocks" ? first.base.rows : [],
    });
    const described = { ...settled, train: { ...settled.train, onNonfinite: ready.onNonfinite } };
    const description = data === null ? null : { config: described, data, keepLast: 1 };
    const base = { name: null, fused: facts.fused, sha256: initFrom?.sha256 };
    yield* run({
      ...prepared,
      memory,
      availableMemory: null,
      config: settled,
      backend: opened,
      corpus: options.documents === undefined ? "text" : "documents",
      facts,
      prompt,
      finalSampleTokens,
      store: handingOut(
        null,
        options,
        { ...prepared, config: settled, facts, description, past: ready.past ?? [] },
        base,
      ),
      ...first,
      initFrom: initFrom?.path ?? null,
      broken: ready.broken,
      stopAt,
      profile,
      team: runAlone(signal),
    });
  } finally {
    if (opened !== backend) await opened.close();
  }
}

/** Opens the initial weights. For adapters on a GGUF file, the weights stay in their blocks. */
const readInitial = async (initFrom: CheckpointSource, { config, keepBlocks = true }: Checked) => {
  const opened = await openCheckpoint(initFrom);
  return { ...(await initialWeightsOf(opened, keepBlocks && asksForLora(config))), sha256: await opened.sha256() };
};

async function* startRun(options: Checked): Events {
  const { preset, valFraction, chatTemplate, finalSampleTokens, initFrom } = options;
  checkStopAt(options.stopAt, 0);
  const initial = initFrom === undefined ? null : await readInitial(initFrom, options);
  const parts = initial === null ? null : configOfWeights(initial);
  const plan = planConfig(preset, [options.config ?? {}], "config", parts);
  checkLora(plan.expected, initial !== null, options);
  checkNoTeachers(plan.expected);
  checkKeptBlocks(plan.expected, options.keepBlocks);
  if (initial !== null) checkFits(initial, plan.expected);
  const given = dataOf(options);
  const before = {
    tokenizer: initial?.tokenizer ?? null,
    initial,
    facts: initial === null ? null : keptFacts(initial),
    chatTemplate,
  };
  let sha256: string | null = null;
  const isHandedOut = handedTo(options) !== null;
  const ready = await prepareGiven(plan, given, before, {
    ...{ valFraction, prompt: options.prompt, onNotice: toldTo(options) },
    onHash: isHandedOut ? (hash) => (sha256 = hash) : undefined,
  });
  const { prepared, prompt } = ready;
  prepared.tokenizer.encode(prompt, "prompt");
  // A model that a callback gets must fit a class of `transformers`.
  if (isHandedOut) architectureOf(prepared.config.model);
  const from = initial === null ? null : { path: initial.where, sha256: initial.sha256 };
  const inBlocks = initial?.weights.kind === "blocks" ? { blocks: true as const } : {};
  const isDocuments = options.documents !== undefined;
  const data: RunData | null =
    sha256 === null
      ? null
      : {
          ...keptPlaces(given),
          ...{ valFraction: valFraction ?? 0.1, name: isDocuments ? "documents" : "text", sha256, prompt },
          finalSampleTokens,
          ...(from === null ? {} : { initFrom: { path: from.path, sha256: from.sha256 ?? "", ...inBlocks } }),
          ...(isDocuments ? { documents: true as const } : {}),
          ...(chatTemplate === undefined ? {} : { chatTemplate }),
        };
  const { onNonfinite } = prepared.config.train;
  const first = initial === null ? drawnState : firstState(initial, prepared.config);
  yield* compute(options, { ...ready, first, data, onNonfinite, finalSampleTokens, initFrom: from });
}

/** @throws CheckpointError if the text is not the text that the run began with. */
const checkData = (sha256: string | null, data: RunData): void => {
  if (sha256 === data.sha256) return;
  const isDocuments = data.documents === true;
  throw new CheckpointError({
    where: isDocuments ? "documents" : "text",
    must: isDocuments
      ? "the documents must be the ones that the run began with"
      : "the text must be the one that the run began with",
    got: isDocuments ? "others (their SHA-256 differs)" : "another one (its SHA-256 differs)",
    hint: isDocuments ? "the same documents, or a new run with initFrom" : "the same text, or a new run with initFrom",
  });
};

/** A page without a secure connection has no Web Crypto, which is needed to recognise the text. */
const checkCanDigest = (): void => {
  if (canDigest()) return;
  throw new ConfigError({
    where: "train: resume",
    must: "the page must be served over HTTPS or from localhost, to compare the text with the run's",
    got: "a page without Web Crypto",
    hint: "another address of the page",
  });
};

async function* resumeRun(options: Checked, files: NonNullable<TrainOptions["resume"]>): Events {
  checkCanDigest();
  const { description, saved, notes } = await readGivenRun(files);
  const { data } = description;
  checkHandOut(description.config, options);
  checkNoTeachers(description.config);
  const { progress } = saved.state;
  const config = configToGoOn(description.config, progress, options);
  const end = endOf(progress, config.train);
  let broken = await brokenOff(notes, progress, config.train);
  if (end !== null) {
    const missing = await missingEnd(notes, progress, end, "");
    // The last checkpoint is written after the last sample, unless the run was stopped during that sample.
    if (missing === undefined || missing.sampled || data.finalSampleTokens === 0) {
      throw hasEnded("train: resume", config.train, end);
    }
    broken = { sample: true, lastLoss: missing.done.valLoss };
  } else checkStopAt(options.stopAt, progress.step);
  const { tokenizer, facts } = saved;
  const before = { tokenizer, initial: null, facts, chatTemplate: data.chatTemplate };
  const ready = await prepareGiven(settledPlan(config), dataOf(options), before, {
    ...{ valFraction: data.valFraction, prompt: data.prompt, onNotice: toldTo(options) },
    onHash: (sha256) => checkData(sha256, data),
  });
  const { keep, more } = notesMender(progress, config.train, broken, handedTo(options) ?? "");
  yield* compute(options, {
    ...ready,
    ...{ data, broken, finalSampleTokens: data.finalSampleTokens, initFrom: data.initFrom ?? null },
    onNonfinite: description.config.train.onNonfinite,
    first: { resume: saved.state, base: null },
    past: [...notes.filter(keep), ...more()],
  });
}

/**
 * Trains a model on a text and yields events: `start`, a `step` for each update, `eval`, `sample`, `checkpoint`,
 * `done`. The same options and backend give the same bits, with any number of threads, in a page and with Node's `wasm`
 * backend. It computes on the calling thread.
 *
 * If the caller leaves the loop, by `break` or by an error of its own, the run ends without saving: the steps since the
 * last call of `onCheckpoint` are lost. To keep them, abort `signal` and read the events to the end.
 *
 * @throws ConfigError for options that cannot work, DataError for text that cannot be used, UnsupportedKernelError for
 * a backend that the page lacks.
 */
export async function* train(options: TrainOptions): Events {
  const checked = checkedOptions(options);
  const { resume } = checked;
  yield* resume === undefined ? startRun(checked) : resumeRun(checked, resume);
}

/**
 * Computes a model's cross-entropy on a text: every token after the first is predicted once, in windows that do not
 * overlap.
 * @param lm a model of `loadPretrained` or `languageModel`.
 * @param options the text; or documents, in which the loss counts only the answers.
 * @throws ConfigError for a loss that is not finite; DataError for a text of fewer than two tokens, or for a character
 * that the tokenizer lacks, unless `unknown` is "skip".
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
  checkLanguageModel("evaluate: model", lm, "the model's own method, lm.evaluate({ text })");
  return evaluateCorpus(lm, ...(await dataToMeasure(lm, options)));
};
