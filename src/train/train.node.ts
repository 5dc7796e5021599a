import { join, resolve } from "node:path";
import type { Backend } from "../backend/backend.ts";
import { openBackend } from "../backend/select.node.ts";
import type { RunConfig } from "../config/config.ts";
import { checkTrainOptions } from "../config/options.ts";
import { defaultPreset } from "../config/presets.ts";
import { yieldToHost } from "../core/system/yield.ts";
import { isCorpusName } from "../data/corpora.node.ts";
import { readJsonLines } from "../io/jsonl.node.ts";
import { architectureOf } from "../models/architectures/architecture-of.ts";
import { keepBase } from "../pretrained/adapter/base/keep.node.ts";
import { isHubName } from "../pretrained/files/hub.node.ts";
import { type KeptFacts, keptFacts } from "../pretrained/files/pretrained-files.ts";
import { givenData, loadData } from "../runs/begin/data.node.ts";
import { defaultRunName, hasOwnParts } from "../runs/begin/default-name.node.ts";
import { type FoundWeights, readStart } from "../runs/begin/initial.node.ts";
import { checkFree, createRunFolder } from "../runs/begin/new-run-folder.node.ts";
import { readRunDescription } from "../runs/description.node.ts";
import { type TrainEvent, eventVersion as v } from "../runs/events.ts";
import { folderNames, runsFolder } from "../runs/folder-names.ts";
import { freshProgress, type Progress } from "../runs/progress.ts";
import { elsewhereNotice } from "../runs/resume/begun-on.ts";
import { brokenOff, endOf, missingEnd } from "../runs/resume/ended-run.ts";
import { findRun, lockRun } from "../runs/resume/find-run.node.ts";
import { readRun } from "../runs/resume/resume.node.ts";
import { loadRunCorpus } from "../runs/resume/run-corpus.node.ts";
import { keptPlaces, type RunData } from "../runs/run-schemas.ts";
import type { BrokenOff } from "../runs/store.ts";
import { baseOf } from "../runs/write/checkpoint-files.node.ts";
import { recoverTakeUp } from "../runs/write/kept-checkpoints.node.ts";
import type { RunFolder } from "../runs/write/run-folder.node.ts";
import { passesPerStep } from "../trainer/passes.ts";
import { runAlone } from "../trainer/team.ts";
import { prepareData } from "./prepare/data.node.ts";
import { configToGoOn, hasEnded } from "./prepare/go-on.ts";
import { initialOf } from "./prepare/initial.node.ts";
import { baseRowsOf, checkFits, configOfWeights, drawnState, type FirstState, firstState } from "./prepare/initial.ts";
import { checkHandOut, checkKeptBlocks, checkLora } from "./prepare/lora.ts";
import { noRateNotice } from "./prepare/no-rate.ts";
import { checkTexts, preflight, type Surroundings, surroundings } from "./prepare/preflight.node.ts";
import { checkStopAt, type Prepared, planConfig, settledPlan, withDType } from "./prepare/prepare.ts";
import {
  hashOfTeachers,
  keptTeachers,
  noticeOtherTexts,
  openTeachers,
  reopenTeachers,
  type Teachers,
} from "./prepare/teachers.node.ts";
import { changesOfTeachers, checkHasTeachers, checkPlanOfTeachers, checkTeachers } from "./prepare/teachers.ts";
import { comparedOptions } from "./ranks/compared-options.node.ts";
import { checkDivides } from "./ranks/meeting.ts";
import { joinTeam, type MpiTeam, packageVersion } from "./ranks/mpi-team.node.ts";
import { storeOfRanks } from "./ranks/store.ts";
import { handedTo } from "./run/callbacks.ts";
import { handingOut } from "./run/hand-out.ts";
import { run } from "./run/run.ts";
import type { RunInput } from "./run/run-input.ts";
import type { NewRun, ResumedRunOptions, Running, TrainOptions } from "./train-options.node.ts";

export type { NewRun, ResumedRunOptions, TrainOptions } from "./train-options.node.ts";

/** Keeps the name of a corpus. Makes a path absolute, because a resumed run may start in another folder. */
const placeOf = (data: string): string => (isCorpusName(data) ? data : resolve(data));

/** The run's ranks; null if this process trains alone. */
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

/** A model's place, valid in any working directory. */
const placeOfModel = (where: string): string => (isHubName(where) ? where : resolve(where));

/** The initial weights in the form of the run's description. */
const keptOrigin = ({ where, sha256, weights }: FoundWeights): NonNullable<RunData["initFrom"]> => ({
  ...{ path: placeOfModel(where), sha256 },
  ...(weights.kind === "blocks" ? { blocks: true as const } : {}),
});

/** Whether this process writes files. Of several ranks, only rank 0 does. */
const writes = (ranks: Ranks): boolean => ranks === null || ranks.rank === 0;

/** Waits until all ranks are ready to train the same run. @throws ConfigError that names the first difference. */
const meet = async (
  ranks: Ranks,
  { name, capabilities: { instructionSet, dtype } }: Backend,
  config: RunConfig,
  {
    sha256,
    initFrom,
    teachers = [],
    finalSampleTokens,
    documents,
  }: Pick<RunData, "sha256" | "initFrom" | "teachers" | "finalSampleTokens" | "documents">,
  { chatTemplate }: KeptFacts,
  progress: Progress,
  stopAt: number | undefined,
): Promise<void> => {
  if (ranks === null) return;
  const weights = initFrom === undefined ? "none" : `${initFrom.sha256}${initFrom.blocks === true ? " in blocks" : ""}`;
  const hashes = { text: sha256, weights, teachers: hashOfTeachers(teachers) };
  const { step } = progress;
  const plan = { chatTemplate, step, progress, stopAt: stopAt ?? null, finalSampleTokens, config };
  await ranks.meet({ version: packageVersion(), backend: name, instructionSet, dtype, hashes, ...plan });
  checkDivides(passesPerStep(config, documents === true ? "documents" : "windows"), config.train, ranks.size);
};

/** Copies the base model of a run's adapters to the run's folder. This keeps no more of the base model in memory. */
const keepingBase = ({ lora }: RunConfig, initial: FoundWeights | null, { onNotice }: Running) => {
  const files = lora === undefined ? undefined : initial?.files;
  return async (run: { readonly root: string; readonly shown: string }): Promise<void> => {
    if (files !== undefined) await keepBase(run, files, onNotice);
  };
};

const startRun = async function* (options: NewRun, ranks: Ranks): AsyncGenerator<TrainEvent, void, undefined> {
  const around = surroundings(options.availableMemory, options.memoryCheck !== false, ranks?.localSize);
  // The folder is checked before weights are read, because reading takes longer.
  if (writes(ranks) && typeof options.out === "string" && options.initFrom !== undefined) await checkFree(options.out);
  const teachers = await openTeachers(options.teacher, options.onNotice);
  let initial: FoundWeights | null = null;
  try {
    initial = await initialOf(options);
    yield* startFrom(options, ranks, around, initial, teachers);
  } finally {
    await initial?.close();
    await teachers.close();
  }
};

const startFrom = async function* (
  options: NewRun,
  ranks: Ranks,
  around: Surroundings,
  initial: FoundWeights | null,
  opened: Teachers,
): AsyncGenerator<TrainEvent, void, undefined> {
  const { list: teachers } = opened;
  const { valData, valFraction, finalSampleTokens = 400, onNotice, chatTemplate } = options;
  const given = givenData(options);
  const preset = options.preset ?? (hasOwnParts(options) ? undefined : defaultPreset);
  const isNamedLater = writes(ranks) && options.out === undefined && given === undefined;
  const asked = writes(ranks) ? (options.out ?? null) : null;
  const saved = asked !== null || isNamedLater || handedTo(options) !== null;
  const changes = [...changesOfTeachers(teachers, initial !== null), options.config ?? {}];
  const plan = planConfig(preset, changes, "config", initial === null ? null : configOfWeights(initial));
  checkPlanOfTeachers(teachers, plan.expected, initial !== null);
  checkLora(plan.expected, initial !== null, options);
  checkKeptBlocks(plan.expected, options.keepBlocks);
  if (initial !== null) checkFits(initial, plan.expected);
  // A model that is saved must fit a class of `transformers`.
  if (saved) architectureOf(plan.expected.model);
  if (asked !== null) await checkFree(asked);
  await checkTexts(around, [options.data, valData]);
  // No variable keeps the data, because a reference would keep it in memory.
  const { prepared, facts, reading, about } = await prepareData(
    plan,
    loadData(given, options),
    {
      tokenizer: initial?.tokenizer ?? teachers[0]?.tokenizer ?? null,
      initial,
      facts: initial === null ? null : keptFacts(initial),
      chatTemplate,
    },
    options.prompt,
    onNotice,
  );
  const { config, tokenizer } = prepared;
  checkTeachers(teachers, config, tokenizer);
  const { prompt = about.prompt } = options;
  tokenizer.encode(prompt, "prompt");
  // The name is known only after reading, because the default may be either of two texts.
  const out = isNamedLater ? join(runsFolder, defaultRunName(about.name, options.preset)) : asked;
  const data: RunData = {
    ...(given === undefined
      ? {
          // The default may be either of two texts, so the text that was read is recorded.
          data: options.data === undefined || options.data === "default" ? about.name : placeOf(options.data),
          valData: valData === undefined ? null : placeOf(valData),
        }
      : keptPlaces(given)),
    valFraction: valFraction ?? 0.1,
    ...about,
    name: options.dataName ?? about.name,
    prompt,
    finalSampleTokens,
    ...(initial === null ? {} : { initFrom: keptOrigin(initial) }),
    ...keptTeachers(opened),
    ...(chatTemplate === undefined ? {} : { chatTemplate }),
  };
  await noticeOtherTexts(opened, about, options.onNotice);
  yield* withBackend(options, ranks, config, async function* (backend, settled) {
    // If the run was aborted while the text was read, the abort takes effect here.
    await yieldToHost();
    options.signal?.throwIfAborted();
    const planned = {
      prepared,
      sampleTokens: finalSampleTokens,
      saved,
      resumed: initial !== null && settled.lora === undefined,
      // Given data was in memory before, so reading it took no memory.
      reading: given === undefined ? reading : 0,
      ranks: ranks?.size ?? 1,
      baseRows: baseRowsOf(initial),
      teachers,
    };
    const fitting = await preflight(around, backend, settled, planned);
    await meet(ranks, backend, settled, data, facts, freshProgress, options.stopAt);
    const noRate = noRateNotice(settled.train, 0);
    if (noRate !== undefined && writes(ranks)) await options.onNotice?.(noRate);
    const subject = { config: settled, tokenizer, facts, data, keepLast: options.keepLast ?? 1 };
    const base = keepingBase(settled, initial, options);
    const store = out === null ? null : await createRunFolder(out, isNamedLater, subject, given, base);
    const first = initial === null ? drawnState : firstState(initial, settled);
    const initFrom = data.initFrom?.path ?? null;
    const complete = { ...prepared, ...fitting, facts, config: settled, initFrom, teachers };
    yield* runPrepared(options, ranks, backend, complete, data, store, first);
  });
};

async function* runPrepared(
  { stopAt, profile, signal, keepLast = 1, onCheckpoint, onAdapter }: Running,
  ranks: Ranks,
  backend: Backend,
  prepared: Prepared &
    Awaited<ReturnType<typeof preflight>> &
    Pick<RunInput, "initFrom" | "teachers"> & { readonly facts: KeptFacts },
  data: RunData,
  store: RunFolder | null,
  first: FirstState,
  broken?: BrokenOff,
): AsyncGenerator<TrainEvent, void, undefined> {
  const { name, prompt, finalSampleTokens, initFrom } = data;
  try {
    const callbacks = writes(ranks) ? { onCheckpoint, onAdapter } : {};
    const description = { config: prepared.config, data, keepLast };
    const keeper = handingOut(store, callbacks, { ...prepared, description }, baseOf({ initFrom }, prepared.facts));
    yield* run({
      ...prepared,
      backend,
      team: ranks ?? runAlone(signal),
      corpus: name,
      prompt,
      finalSampleTokens,
      store: ranks === null ? keeper : await storeOfRanks(ranks, keeper),
      ...first,
      broken,
      stopAt,
      profile,
    });
  } catch (error) {
    if (signal?.aborted !== true || error !== signal.reason) await store?.noteFailure(error);
    throw error;
  } finally {
    await store?.close();
  }
}

/** Records the end of a run whose process was killed before it could record the end. */
async function* noteEnd(store: RunFolder, done: TrainEvent & { readonly type: "done" }): AsyncGenerator<TrainEvent> {
  try {
    await store.record({ v, type: "checkpoint", step: done.step, path: join(store.path, "checkpoint") });
    await store.record(done);
    yield done;
  } finally {
    await store.close();
  }
}

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
  // The folder is locked before reading, because another process might change its files.
  const lock = writes(ranks) ? await lockRun(path) : null;
  let opened: FoundWeights | null = null;
  let teachers: Teachers | null = null;
  try {
    if (lock !== null) await recoverTakeUp(resolve(path));
    const base = described.config.lora === undefined ? null : await readStart(path, described, options.onNotice);
    opened = base;
    const goOn = (reached: Progress): RunConfig => configToGoOn(described.config, reached, options);
    const read = await readRun(named, described, goOn, options.keepLast, options.onNotice, base);
    const { saved, config, open } = read;
    const progress = saved?.state.progress ?? freshProgress;
    const end = endOf(progress, config.train);
    const notes = () => readJsonLines(join(path, folderNames.metrics));
    let broken = saved === null ? undefined : await brokenOff(notes(), progress, config.train);
    if (saved !== null && end !== null) {
      const missing = await missingEnd(notes(), progress, end, path);
      if (missing === undefined) {
        // The best weights are restored only if the last checkpoint is named. At an earlier checkpoint the best weights
        // may be others.
        if (lock !== null && named.checkpoint === folderNames.checkpoint) await read.mendBest();
        throw hasEnded(`resume ${options.resume}`, config.train, end);
      }
      if (missing.sampled || data.finalSampleTokens === 0) {
        await ranks?.wait();
        if (lock === null) return;
        await options.onNotice?.(`${path}: the run had ended, but its end was not recorded; it is recorded now`);
        const { tokenizer, facts } = saved;
        yield* noteEnd(await open({ tokenizer, facts, broken }, lock), missing.done);
        return;
      }
      broken = { sample: true, lastLoss: missing.done.valLoss };
    } else checkStopAt(options.stopAt, progress.step);
    const initial = base ?? (saved === null ? await readStart(path, described, options.onNotice) : null);
    opened = initial;
    teachers = await reopenTeachers(path, data, options.teacher, options.onNotice);
    const { list } = teachers;
    checkHasTeachers(config, list.length);
    const first = initial === null ? drawnState : firstState(initial, config);
    const state = saved === null ? first : { ...first, resume: saved.state };
    const keep = keepingBase(config, initial, options);
    const before = {
      tokenizer: initial?.tokenizer ?? saved?.tokenizer ?? list[0]?.tokenizer ?? null,
      initial: null,
      facts: initial === null ? (saved?.facts ?? null) : keptFacts(initial),
      chatTemplate: data.chatTemplate,
    };
    // For adapters: the place from which the base model was actually read.
    const initFrom = initial?.where ?? data.initFrom?.path ?? null;
    await checkTexts(around, [options.data ?? data.data, options.valData ?? data.valData]);
    const loading = loadRunCorpus(data, options);
    const ready = await prepareData(settledPlan(config), loading, before, data.prompt, options.onNotice);
    const { prepared, facts, reading } = ready;
    checkTeachers(list, config, prepared.tokenizer);
    if (saved === null) await options.onNotice?.(`${path}: no checkpoint yet; starting again at step 0`);
    yield* withBackend(options, ranks, config, async function* (backend) {
      await yieldToHost();
      options.signal?.throwIfAborted();
      const noRate = noRateNotice(config.train, progress.step);
      if (noRate !== undefined && lock !== null) await options.onNotice?.(noRate);
      const elsewhere = await elsewhereNotice(notes(), { name: backend.name, ...backend.capabilities });
      if (elsewhere !== undefined && lock !== null) await options.onNotice?.(elsewhere);
      const { finalSampleTokens: sampleTokens } = data;
      const isResumed = state.resume !== null;
      const planned = {
        ...{ prepared, sampleTokens, saved: true, resumed: isResumed, reading, ranks: ranks?.size ?? 1 },
        baseRows: baseRowsOf(initial),
        teachers: list,
      };
      const fitting = await preflight(around, backend, config, planned);
      await meet(ranks, backend, config, data, facts, progress, options.stopAt);
      const store = lock === null ? null : await open({ tokenizer: prepared.tokenizer, facts, broken }, lock);
      // Copies the base model again if its copy is missing or damaged, because the base model may be trained further
      // later.
      if (store !== null) await keep({ root: resolve(path), shown: path });
      const complete = { ...prepared, ...fitting, facts, initFrom, teachers: list };
      yield* runPrepared(options, ranks, backend, complete, data, store, state, broken);
    });
  } finally {
    await opened?.close();
    await teachers?.close();
    await lock?.release();
  }
};

/**
 * Trains a model and yields events: `start`, a `step` for each update, `eval`, `sample`, `checkpoint`, `done`. The same
 * options, backend and instruction set give the same bits, with any number of threads, and whether or not the run is
 * stopped and resumed. All input is checked before anything is written.
 *
 * If the caller leaves the loop, by `break` or by an error of its own, the run ends without saving: the steps since the
 * last checkpoint are lost. To keep them, abort `signal` and read the events to the end.
 *
 * @throws ConfigError for options that cannot work, DataError for text that cannot be used, CheckpointError for a run
 * that cannot be resumed, UnsupportedKernelError for a backend that this machine lacks.
 */
export async function* train(options: TrainOptions = {}): AsyncGenerator<TrainEvent, void, undefined> {
  checkTrainOptions(options);
  const ranks = options.mpi === true ? await joinTeam(options.signal) : null;
  let how: "left" | "failed" | "ended" = "left";
  try {
    await ranks?.compare(comparedOptions(options));
    yield* options.resume === undefined ? startRun(options, ranks) : resumeRun(options, ranks);
    how = "ended";
  } catch (error) {
    how = "failed";
    ranks?.fail(error);
    throw error;
  } finally {
    // A rank that leaves the loop early also leaves the other ranks, so they must leave too.
    if (how !== "failed") await ranks?.leave(how === "left");
  }
}
