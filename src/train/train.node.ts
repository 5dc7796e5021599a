import { join, resolve } from "node:path";
import type { Backend } from "../backend/backend.ts";
import { type BackendChoice, openBackend } from "../backend/select.node.ts";
import { ConfigError } from "../core/errors.ts";
import { isCorpusName, type LoadedCorpus, loadCorpus } from "../data/corpora.node.ts";
import { architectureOf } from "../models/hugging-face/hugging-face.ts";
import { trainTokenizer } from "../tokenizer/registry.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import type { RunConfig } from "./config/config.ts";
import type { PartialConfig } from "./config/merge.ts";
import { checkTrainOptions } from "./config/options.ts";
import { defaultPreset, type PresetName } from "./config/presets.ts";
import { type TrainEvent, eventVersion as v } from "./events.ts";
import { missingEnd } from "./folder/ended-run.node.ts";
import { checkFree, createRunFolder } from "./folder/new-run-folder.node.ts";
import { endOf, findRun, lockRun, readRun, readRunDescription } from "./folder/resume.node.ts";
import { loadRunCorpus } from "./folder/run-corpus.node.ts";
import type { RunFolder } from "./folder/run-folder.node.ts";
import type { RunData } from "./folder/run-schemas.ts";
import { checkTexts, preflight, readingBytes, surroundings } from "./prepare/preflight.node.ts";
import { checkStopAt, type Prepared, prepare, resolveConfig, withDType } from "./prepare/prepare.ts";
import { freshProgress } from "./run/progress.ts";
import { run } from "./run/run.ts";
import type { BrokenOff, RunInput } from "./run/run-input.ts";

/** Options that change no result: for new and for resumed runs. */
interface Running {
  /** An opened backend (yours to close), or the name of one. Default "auto". */
  readonly backend?: Backend | BackendChoice;
  /** Threads of a backend opened here; default: all cores. */
  readonly threads?: number | undefined;
  /** End after this many updates as an interruption would; the schedule stays the whole run's. */
  readonly stopAt?: number | undefined;
  /** Checkpoints to keep, including the last one; at least 1. Default 1, or as the resumed run began. */
  readonly keepLast?: number | undefined;
  /** Time the kernels, for a `profile` event before `done`. */
  readonly profile?: boolean | undefined;
  /**
   * Bytes that this process can hold, including those it holds already: a run that needs more is refused before
   * anything is allocated or written. Default: the free memory, within the limit of the container.
   */
  readonly availableMemory?: number | undefined;
  /** false: a run that needs more than is available runs anyway. Default true. */
  readonly memoryCheck?: boolean | undefined;
  /** Abort to save and stop. */
  readonly signal?: AbortSignal;
  /** Gets one line for the user, such as that another text is used. A promise is waited for. */
  readonly onNotice?: (line: string) => void;
}

/** A new run. */
export interface NewRun extends Running {
  readonly resume?: undefined;
  /** Name of a corpus, a UTF-8 text file, or a folder of them. Default: Tiny Shakespeare, offline Moby-Dick. */
  readonly data?: string | undefined;
  /** Name or path of a text to validate on; else the last `valFraction` of the text. */
  readonly valData?: string | undefined;
  /** In (0, 1); default 0.1. */
  readonly valFraction?: number | undefined;
  /** Default: `defaultPreset`. */
  readonly preset?: PresetName;
  /** Fields to change in the preset, as `{ model: { nLayer: 6 }, train: { steps: 500 } }`. */
  readonly config?: PartialConfig<RunConfig>;
  /**
   * Folder of the run: new or empty. null: nothing is saved. Default: `runs/<time>-<preset>`, with a number if it is
   * taken.
   */
  readonly out?: string | null | undefined;
  /** Tokens to write at the end; 0: none. Default 400. */
  readonly finalSampleTokens?: number;
}

/** A run that continues from a checkpoint. */
export interface ResumedRunOptions extends Running {
  /**
   * A run's folder: the run continues in place, from its last checkpoint to its planned end. Or one of the checkpoints
   * in it, as `checkpoint-400`: then the run goes back to that one, and the last one is set aside.
   */
  readonly resume: string;
  /** New places of the run's text, and of its validation text, if they were moved: they must be the same texts. */
  readonly data?: string | undefined;
  readonly valData?: string | undefined;
  /** Action at a step that is not finite or explodes, from here on. Default: as the run began. */
  readonly onNonfinite?: RunConfig["train"]["onNonfinite"] | undefined;
}

/** Options of `train`, to begin or to continue a run. */
export type TrainOptions = NewRun | ResumedRunOptions;

/** `runs/<time>-<preset>`, with the time of day in UTC to the second. */
const defaultFolder = (preset: string): string => {
  const time = new Date().toISOString().slice(0, 19).replaceAll(":", "").replace("T", "-");
  return join("runs", `${time}-${preset}`);
};

/** The name of a known text as it is; a path absolute, since a resumed run may start in another folder. */
const placeOf = (data: string): string => (isCorpusName(data) ? data : resolve(data));

async function* withBackend(
  { backend = "auto", threads }: Running,
  config: RunConfig,
  work: (backend: Backend, config: RunConfig) => AsyncGenerator<TrainEvent, void, undefined>,
): AsyncGenerator<TrainEvent, void, undefined> {
  if (typeof backend !== "string") {
    yield* work(backend, withDType(config, backend));
    return;
  }
  const opened = await openBackend(backend, { threads, dtype: config.train.dtype });
  try {
    yield* work(opened, withDType(config, opened));
  } finally {
    await opened.close();
  }
}

/**
 * The tokens of a text, and the facts about it that are kept. In a function of its own: when it returns, nobody holds
 * the text any more.
 */
const prepareText = async (
  { onNotice }: Running,
  config: RunConfig,
  loading: Promise<LoadedCorpus>,
  tokenizer: Tokenizer | null,
) => {
  const corpus = await loading;
  const { name, sha256, prompt, notice, train: text, val } = corpus;
  if (notice !== undefined) await onNotice?.(notice);
  const prepared = prepare(config, corpus, tokenizer ?? trainTokenizer(config.tokenizer, text, val));
  return { prepared, reading: readingBytes(corpus), about: { name, sha256, prompt } };
};

const startRun = async function* (options: NewRun): AsyncGenerator<TrainEvent, void, undefined> {
  const { preset = defaultPreset, valData, valFraction, finalSampleTokens = 400 } = options;
  const out = options.out === undefined ? defaultFolder(preset) : options.out;
  const config = resolveConfig(preset, [options.config ?? {}]);
  if (out !== null) {
    // A model that is saved must have a class of `transformers`.
    architectureOf(config.model);
    if (options.out !== undefined) await checkFree(out);
  }
  const around = surroundings(options.availableMemory, options.memoryCheck !== false);
  await checkTexts(around, [options.data, valData]);
  // Not kept in a variable, which would hold the text.
  const { prepared, reading, about } = await prepareText(
    options,
    config,
    loadCorpus(options.data, { valData, valFraction }),
    null,
  );
  const { tokenizer } = prepared;
  const data: RunData = {
    // The default may be either text.
    data: options.data === undefined || options.data === "default" ? about.name : placeOf(options.data),
    valData: valData === undefined ? null : placeOf(valData),
    valFraction: valFraction ?? 0.1,
    ...about,
    finalSampleTokens,
  };
  yield* withBackend(options, config, async function* (backend, settled) {
    options.signal?.throwIfAborted();
    const planned = { prepared, sampleTokens: finalSampleTokens, saved: out !== null, resumed: false, reading };
    const fitting = await preflight(around, backend, settled, planned);
    const subject = { config: settled, tokenizer, data, keepLast: options.keepLast ?? 1 };
    const store = out === null ? null : await createRunFolder(out, options.out === undefined, subject);
    yield* runPrepared(options, backend, { ...prepared, ...fitting, config: settled }, data, store, null);
  });
};

async function* runPrepared(
  { stopAt, profile, signal }: Running,
  backend: Backend,
  prepared: Prepared & Awaited<ReturnType<typeof preflight>>,
  { name, prompt, finalSampleTokens }: RunData,
  store: RunFolder | null,
  resume: RunInput["resume"],
  broken?: BrokenOff,
): AsyncGenerator<TrainEvent, void, undefined> {
  try {
    yield* run({
      ...prepared,
      backend,
      corpus: name,
      prompt,
      finalSampleTokens,
      store,
      resume,
      broken,
      stopAt,
      profile,
      signal,
    });
  } finally {
    await store?.close();
  }
}

/** Notes the end of a run whose process was killed before it could. */
async function* noteEnd(store: RunFolder, done: TrainEvent & { readonly type: "done" }): AsyncGenerator<TrainEvent> {
  try {
    await store.record({ v, type: "checkpoint", step: done.step, path: join(store.path, "checkpoint") });
    await store.record(done);
    yield done;
  } finally {
    await store.close();
  }
}

const hasEnded = (path: string, { steps, patience }: RunConfig["train"], end: "finished" | "patience"): ConfigError =>
  new ConfigError({
    where: `resume ${path}`,
    ...(end === "finished"
      ? { must: "the run must have steps left", got: `all ${steps} done`, hint: "a new run with more train.steps" }
      : {
          must: "the run must not have ended of itself",
          got: `${patience} evaluations without a better loss (patience)`,
          hint: "a new run with more train.patience",
        }),
  });

const resumeRun = async function* (options: ResumedRunOptions): AsyncGenerator<TrainEvent, void, undefined> {
  const named = await findRun(options.resume);
  const { path } = named;
  const described = await readRunDescription(path);
  const { train: trained } = described.config;
  const config = {
    ...described.config,
    train: { ...trained, onNonfinite: options.onNonfinite ?? trained.onNonfinite },
  };
  const description = {
    ...described,
    config,
    keepLast: options.keepLast ?? described.keepLast,
    keptMore: described.keepLast > 1,
  };
  const { data } = description;
  const around = surroundings(options.availableMemory, options.memoryCheck !== false);
  // Before anything is read that another process might change.
  const lock = await lockRun(path);
  try {
    const { saved, open, ...rest } = await readRun(named, description, options.onNotice);
    let { broken } = rest;
    const progress = saved?.state.progress ?? freshProgress;
    const end = endOf(progress, config.train);
    if (saved !== null && end !== null) {
      const missing = await missingEnd(path, progress, end);
      if (missing === undefined) throw hasEnded(options.resume, config.train, end);
      if (missing.sampled || data.finalSampleTokens === 0) {
        await options.onNotice?.(`${path}: the run had ended; what it could not note any more has been noted`);
        yield* noteEnd(await open(saved.tokenizer, lock), missing.done);
        return;
      }
      broken = { sample: true, lastLoss: missing.done.valLoss };
    } else checkStopAt(options.stopAt, progress.step);
    await checkTexts(around, [options.data ?? data.data, options.valData ?? data.valData]);
    const { prepared, reading } = await prepareText(
      options,
      config,
      loadRunCorpus(data, options),
      saved?.tokenizer ?? null,
    );
    if (saved === null) await options.onNotice?.(`${path}: no checkpoint yet; beginning again at step 0`);
    yield* withBackend(options, config, async function* (backend) {
      options.signal?.throwIfAborted();
      const { finalSampleTokens: sampleTokens } = data;
      const planned = { prepared, sampleTokens, saved: true, resumed: saved !== null, reading };
      const fitting = await preflight(around, backend, config, planned);
      const store = await open(prepared.tokenizer, lock);
      yield* runPrepared(options, backend, { ...prepared, ...fitting }, data, store, saved?.state ?? null, broken);
    });
  } finally {
    await lock.release();
  }
};

/**
 * Trains a model and yields events: `start`, a `step` for each update, `eval`, `sample`, `checkpoint`, `done`.
 * Same options, backend and instruction set: same bits, with any number of threads, interrupted or not.
 * All input is checked before anything is written.
 *
 * Leaving the loop, by `break` or an error of its own, ends the run without saving: the steps since the last checkpoint
 * are lost. To keep them, abort `signal` and take the events to the end.
 *
 * @throws ConfigError for options that cannot work, DataError for text that cannot be used, CheckpointError for a run
 *   that cannot be resumed, UnsupportedKernelError for a backend that this machine lacks.
 */
export async function* train(options: TrainOptions = {}): AsyncGenerator<TrainEvent, void, undefined> {
  checkTrainOptions(options);
  yield* options.resume === undefined ? startRun(options) : resumeRun(options);
}
