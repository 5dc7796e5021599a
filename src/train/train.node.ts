import { join, resolve } from "node:path";
import type { Backend } from "../backend/backend.ts";
import { type BackendChoice, openBackend } from "../backend/select.node.ts";
import { ConfigError } from "../core/errors.ts";
import { isCorpusName } from "../data/corpora.node.ts";
import type { GivenDocument } from "../data/parse-document.ts";
import { architectureOf } from "../models/hugging-face/hugging-face.ts";
import type { ExtendKind } from "../optim/config.ts";
import { adapterBase } from "../pretrained/adapter/open.node.ts";
import { isHubName } from "../pretrained/hub.node.ts";
import { type KeptFacts, keptFacts } from "../pretrained/pretrained-files.ts";
import type { RunConfig } from "./config/config.ts";
import { extendConfig, longerSteps } from "./config/extend.ts";
import type { PartialConfig } from "./config/merge.ts";
import { checkTrainOptions } from "./config/options.ts";
import { defaultPreset, type PresetName } from "./config/presets.ts";
import { type TrainEvent, eventVersion as v } from "./events.ts";
import { defaultRunName, hasOwnParts, nameOfText } from "./folder/default-name.node.ts";
import { brokenOff, missingEnd } from "./folder/ended-run.node.ts";
import { runsFolder } from "./folder/folder-names.ts";
import { readInitial, readStart } from "./folder/initial.node.ts";
import { checkFree, createRunFolder } from "./folder/new-run-folder.node.ts";
import { endOf, findRun, lockRun, readRun, readRunDescription } from "./folder/resume.node.ts";
import { loadRunCorpus } from "./folder/run-corpus.node.ts";
import type { RunFolder } from "./folder/run-folder.node.ts";
import { keptPlaces, type RunData } from "./folder/run-schemas.ts";
import { givenData, loadData, prepareData } from "./prepare/data.node.ts";
import { checkFits, configOfWeights, drawnState, type FirstState, firstState } from "./prepare/initial.ts";
import { checkHandOut, checkLora } from "./prepare/lora.ts";
import { checkTexts, preflight, surroundings } from "./prepare/preflight.node.ts";
import { checkStopAt, type Prepared, planConfig, settledPlan, withDType } from "./prepare/prepare.ts";
import { checkDivides } from "./ranks/meeting.ts";
import { joinTeam, type MpiTeam, packageVersion } from "./ranks/mpi-team.node.ts";
import { storeOfRanks } from "./ranks/store.ts";
import { handedTo, type OnAdapter, type OnCheckpoint } from "./run/callbacks.ts";
import { handingOut } from "./run/hand-out.ts";
import { freshProgress, type Progress } from "./run/progress.ts";
import { run } from "./run/run.ts";
import type { BrokenOff } from "./run/run-input.ts";
import { passesPerStep } from "./steps/passes.ts";
import { runAlone } from "./steps/team.ts";

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
  /**
   * true: this process is one of the ranks that `mpirun` has started, each with the same options, and they train one model:
   * rank 0 alone writes and hands out checkpoints. Needs the MPI addon. Default: false, but the command `train` finds out.
   */
  readonly mpi?: boolean | undefined;
  /** Gets one line for the user, such as that another text is used. A promise is waited for. */
  readonly onNotice?: (line: string) => void;
  /**
   * Gets the model at each checkpoint, at the end at the latest ("last"), and whenever its validation loss is the
   * lowest so far ("best"), in the form for `loadPretrained`. Training waits for the promise. A run with a folder has
   * written it there before.
   */
  readonly onCheckpoint?: OnCheckpoint | undefined;
  /**
   * The same for a run with adapters (`config.lora`): gets their files, in the form for `loadPretrained(model, { adapter })`.
   */
  readonly onAdapter?: OnAdapter | undefined;
}

/** A new run. */
export interface NewRun extends Running {
  /** Left out: it is what tells a resumed run from a new one. */
  readonly resume?: undefined;
  /**
   * Name of a corpus, a UTF-8 text file, or a folder of them; or documents: a file that ends in `.jsonl`, or a folder of such
   * files alone. Default: Tiny Shakespeare, offline Moby-Dick.
   */
  readonly data?: string | undefined;
  /** Name or path of a text, or documents, to validate on; else the last `valFraction` of the text. */
  readonly valData?: string | undefined;
  /** The text itself, instead of `data`. A run with a folder keeps it there, as `text.txt`. */
  readonly text?: string | undefined;
  /** A text to validate on itself, instead of `valData`; with `text` only. */
  readonly valText?: string | undefined;
  /**
   * Documents to learn from, instead of `data`: conversations, of which the loss counts the answers, and plain texts. They
   * do not see each other. A run with a folder keeps them there, as `documents.jsonl`.
   */
  readonly documents?: readonly GivenDocument[] | undefined;
  /** Documents to validate on, instead of `valFraction`; with `documents` only. */
  readonly valDocuments?: readonly GivenDocument[] | undefined;
  /** What `text` or `documents` are called in events, lists and pages. Default: "text" or "documents". */
  readonly dataName?: string | undefined;
  /** A chat template in Jinja for conversations, instead of the model's own, of which its checkpoints keep it. */
  readonly chatTemplate?: string | undefined;
  /** In (0, 1); default 0.1. Of documents so many are drawn; of a text it is the end. */
  readonly valFraction?: number | undefined;
  /** Default: with a text of your own, or `initFrom`, a configuration that follows from its size, else `defaultPreset`. */
  readonly preset?: PresetName | undefined;
  /**
   * Weights to begin with: a run's folder, for its best ones, or a checkpoint's directory. Model and tokenizer are
   * theirs; of the model's fields only `dropout` may differ and, with rotary positions, `contextLength` and
   * `position.scaling`. The text may have no other characters than the tokenizer.
   */
  readonly initFrom?: string | undefined;
  /** Fields to change in the preset, as `{ model: { nLayer: 6 }, train: { steps: 500 } }`. */
  readonly config?: PartialConfig<RunConfig>;
  /**
   * Folder of the run: new or empty. null: nothing is saved. Default: null with `text` or `documents`, as in a page; else
   * `runs/<time>-<preset>`, with a number if it is taken.
   */
  readonly out?: string | null | undefined;
  /** Prompt of the samples; default: one that fits the text. */
  readonly prompt?: string | undefined;
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
  /** New place of the run's text, if it was moved: it must be the same text. Default: as the run began. */
  readonly data?: string | undefined;
  /** New place of its validation text, if that was moved: it must be the same text. Default: as the run began. */
  readonly valData?: string | undefined;
  /**
   * A new number of all steps, those done included: the run goes on to it, also if it has ended. It becomes the run's
   * plan, which a later resumption follows.
   */
  readonly steps?: number | undefined;
  /**
   * The learning rate with new `steps`. "stretch", the default: that of a run of so many steps from its beginning.
   * "restart": that of a new run of the added steps. Both are reached over `train.warmupSteps`. "constant": the last one.
   */
  readonly extend?: ExtendKind | undefined;
  /** Action at a step that is not finite or explodes, from here on. Default: as the run began. */
  readonly onNonfinite?: RunConfig["train"]["onNonfinite"] | undefined;
}

/** Options of `train`, to begin or to continue a run. */
export type TrainOptions = NewRun | ResumedRunOptions;

/** The name of a known text as it is; a path absolute, since a resumed run may start in another folder. */
const placeOf = (data: string): string => (isCorpusName(data) ? data : resolve(data));

/** The run's ranks; null: this process trains alone. */
type Ranks = MpiTeam | null;

async function* withBackend(
  { backend = "auto", threads }: Running,
  ranks: Ranks,
  config: RunConfig,
  work: (backend: Backend, config: RunConfig) => AsyncGenerator<TrainEvent, void, undefined>,
): AsyncGenerator<TrainEvent, void, undefined> {
  const counted = (one: Backend): Backend => ranks?.counted(one) ?? one;
  if (typeof backend !== "string") {
    yield* work(counted(backend), withDType(config, backend));
    return;
  }
  const opened = await openBackend(backend, {
    threads: threads ?? ranks?.threads,
    dtype: config.train.dtype,
    manyRows: true,
  });
  try {
    yield* work(counted(opened), withDType(config, opened));
  } finally {
    await opened.close();
  }
}

/** A model's place, from anywhere. */
const placeOfModel = (where: string): string => (isHubName(where) ? where : resolve(where));

/** Whether this process writes: rank 0 does, for all. */
const writes = (ranks: Ranks): boolean => ranks === null || ranks.rank === 0;

/** Waits until all ranks are ready to train the same. @throws ConfigError naming the first difference. */
const meet = async (
  ranks: Ranks,
  { name, capabilities: { instructionSet, dtype } }: Backend,
  config: RunConfig,
  data: Pick<RunData, "sha256" | "initFrom">,
  step: number,
): Promise<void> => {
  if (ranks === null) return;
  const hashes = { text: data.sha256, weights: data.initFrom?.sha256 ?? "none" };
  await ranks.meet({ version: packageVersion(), backend: name, instructionSet, dtype, hashes, step, config });
  checkDivides(passesPerStep(config), config.train.gradAccumSteps, ranks.size);
};

const startRun = async function* (options: NewRun, ranks: Ranks): AsyncGenerator<TrainEvent, void, undefined> {
  const { valData, valFraction, finalSampleTokens = 400, onNotice, chatTemplate } = options;
  const given = givenData(options);
  const preset = options.preset ?? (hasOwnParts(options) ? undefined : defaultPreset);
  const folder = join(runsFolder, defaultRunName(preset ?? nameOfText(options.data ?? options.initFrom ?? "")));
  const asked = options.out === undefined ? (given === undefined ? folder : null) : options.out;
  const out = writes(ranks) ? asked : null;
  const saved = out !== null || handedTo(options) !== null;
  const around = surroundings(options.availableMemory, options.memoryCheck !== false, ranks?.localSize);
  // Before weights are read, which takes longer.
  if (out !== null && options.out !== undefined && options.initFrom !== undefined) await checkFree(out);
  let initial = options.initFrom === undefined ? null : await readInitial(options.initFrom, options.onNotice);
  const plan = planConfig(preset, [options.config ?? {}], "config", initial === null ? null : configOfWeights(initial));
  checkLora(plan.expected, initial !== null, options);
  if (initial !== null) checkFits(initial, plan.expected);
  // A model that is saved must have a class of `transformers`.
  if (saved) architectureOf(plan.expected.model);
  if (out !== null && options.out !== undefined) await checkFree(out);
  await checkTexts(around, [options.data, valData]);
  // Neither the data nor the weights are kept in another variable, which would hold them.
  const { prepared, facts, reading, about } = await prepareData(
    plan,
    loadData(given, options),
    {
      tokenizer: initial?.tokenizer ?? null,
      initial,
      facts: initial === null ? null : keptFacts(initial),
      chatTemplate,
    },
    options.prompt,
    onNotice,
  );
  const { config, tokenizer } = prepared;
  const { prompt = about.prompt } = options;
  tokenizer.encode(prompt, "prompt");
  const data: RunData = {
    ...(given === undefined
      ? {
          // The default may be either text.
          data: options.data === undefined || options.data === "default" ? about.name : placeOf(options.data),
          valData: valData === undefined ? null : placeOf(valData),
        }
      : keptPlaces(given)),
    valFraction: valFraction ?? 0.1,
    ...about,
    name: options.dataName ?? about.name,
    prompt,
    finalSampleTokens,
    ...(initial === null ? {} : { initFrom: { path: placeOfModel(initial.where), sha256: initial.sha256 } }),
    ...(chatTemplate === undefined ? {} : { chatTemplate }),
  };
  yield* withBackend(options, ranks, config, async function* (backend, settled) {
    options.signal?.throwIfAborted();
    const planned = {
      prepared,
      sampleTokens: finalSampleTokens,
      saved,
      resumed: initial !== null && settled.lora === undefined,
      // Given data was in memory before.
      reading: given === undefined ? reading : 0,
      ranks: ranks?.size ?? 1,
    };
    const fitting = await preflight(around, backend, settled, planned);
    await meet(ranks, backend, settled, data, 0);
    const subject = { config: settled, tokenizer, facts, data, keepLast: options.keepLast ?? 1 };
    const store = out === null ? null : await createRunFolder(out, options.out === undefined, subject, given);
    const first = initial === null ? drawnState : firstState(initial, settled);
    // Nobody else keeps the weights once they are in the backend.
    initial = null;
    yield* runPrepared(
      options,
      ranks,
      backend,
      { ...prepared, ...fitting, facts, config: settled },
      data,
      store,
      first,
    );
  });
};

async function* runPrepared(
  { stopAt, profile, signal, onCheckpoint, onAdapter }: Running,
  ranks: Ranks,
  backend: Backend,
  prepared: Prepared & Awaited<ReturnType<typeof preflight>> & { readonly facts: KeptFacts },
  { name, prompt, finalSampleTokens, initFrom }: RunData,
  store: RunFolder | null,
  first: FirstState,
  broken?: BrokenOff,
): AsyncGenerator<TrainEvent, void, undefined> {
  try {
    const callbacks = writes(ranks) ? { onCheckpoint, onAdapter } : {};
    const keeper = handingOut(store, callbacks, prepared, adapterBase(initFrom?.path ?? null, prepared.facts.fused));
    yield* run({
      ...prepared,
      backend,
      team: ranks ?? runAlone(signal),
      corpus: name,
      prompt,
      finalSampleTokens,
      store: ranks === null ? keeper : await storeOfRanks(ranks, keeper),
      ...first,
      initFrom: initFrom?.path ?? null,
      broken,
      stopAt,
      profile,
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
      ? {
          must: "the run must have steps left",
          got: `all ${steps} done`,
          hint: `steps ${longerSteps(steps)} to train longer`,
        }
      : {
          must: "the run must not have ended of itself",
          got: `${patience} evaluations without a better loss (patience)`,
          hint: `steps ${steps} to go on all the same`,
        }),
  });

/** The configuration that a run goes on with after `progress`. */
const configToGoOn = (
  described: RunConfig,
  progress: Progress,
  { steps, extend, onNonfinite = described.train.onNonfinite }: ResumedRunOptions,
): RunConfig => {
  const config = { ...described, train: { ...described.train, onNonfinite } };
  if (steps === undefined) return config;
  // As planned: there is nothing to change, unless the run has lost its patience.
  if (steps === config.train.steps && extend === undefined && endOf(progress, config.train) === null) return config;
  return extendConfig(config, progress.step, { steps, extend });
};

const resumeRun = async function* (
  options: ResumedRunOptions,
  ranks: Ranks,
): AsyncGenerator<TrainEvent, void, undefined> {
  const named = await findRun(options.resume);
  const { path } = named;
  const described = await readRunDescription(path);
  const { data } = described;
  checkHandOut(described.config, options);
  const around = surroundings(options.availableMemory, options.memoryCheck !== false, ranks?.localSize);
  // Before anything is read that another process might change.
  const lock = writes(ranks) ? await lockRun(path) : null;
  try {
    let initial = described.config.lora === undefined ? null : await readStart(path, described);
    const { saved, open } = await readRun(named, described, options.keepLast, options.onNotice, initial);
    const progress = saved?.state.progress ?? freshProgress;
    const config = configToGoOn(described.config, progress, options);
    const end = endOf(progress, config.train);
    let broken = saved === null ? undefined : await brokenOff(path, progress, config.train);
    if (saved !== null && end !== null) {
      const missing = await missingEnd(path, progress, end);
      if (missing === undefined) throw hasEnded(options.resume, config.train, end);
      if (missing.sampled || data.finalSampleTokens === 0) {
        await ranks?.wait();
        if (lock === null) return;
        await options.onNotice?.(`${path}: the run had ended; what it could not note any more has been noted`);
        const { tokenizer, facts } = saved;
        yield* noteEnd(await open({ config, tokenizer, facts, broken }, lock), missing.done);
        return;
      }
      broken = { sample: true, lastLoss: missing.done.valLoss };
    } else checkStopAt(options.stopAt, progress.step);
    if (saved === null) initial ??= await readStart(path, described);
    const first = initial === null ? drawnState : firstState(initial, config);
    const state = saved === null ? first : { ...first, resume: saved.state };
    const before = {
      tokenizer: initial?.tokenizer ?? saved?.tokenizer ?? null,
      initial: null,
      facts: initial === null ? (saved?.facts ?? null) : keptFacts(initial),
      chatTemplate: data.chatTemplate,
    };
    // Nobody else keeps the weights once they are in the backend.
    initial = null;
    await checkTexts(around, [options.data ?? data.data, options.valData ?? data.valData]);
    const loading = loadRunCorpus(data, options);
    const ready = await prepareData(settledPlan(config), loading, before, data.prompt, options.onNotice);
    const { prepared, facts, reading } = ready;
    if (saved === null) await options.onNotice?.(`${path}: no checkpoint yet; beginning again at step 0`);
    yield* withBackend(options, ranks, config, async function* (backend) {
      options.signal?.throwIfAborted();
      const { finalSampleTokens: sampleTokens } = data;
      const isResumed = state.resume !== null;
      const planned = { prepared, sampleTokens, saved: true, resumed: isResumed, reading, ranks: ranks?.size ?? 1 };
      const fitting = await preflight(around, backend, config, planned);
      await meet(ranks, backend, config, data, progress.step);
      const store = lock === null ? null : await open({ config, tokenizer: prepared.tokenizer, facts, broken }, lock);
      yield* runPrepared(options, ranks, backend, { ...prepared, ...fitting, facts }, data, store, state, broken);
    });
  } finally {
    await lock?.release();
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
  const ranks = options.mpi === true ? await joinTeam(options.signal) : null;
  try {
    yield* options.resume === undefined ? startRun(options, ranks) : resumeRun(options, ranks);
  } catch (error) {
    ranks?.fail(error);
    throw error;
  }
  await ranks?.leave();
}
