import { join, resolve } from "node:path";
import type { RunConfig } from "../config/config.ts";
import { yieldToHost } from "../core/system/yield.ts";
import { readJsonLines } from "../io/jsonl.node.ts";
import { keptFacts } from "../pretrained/files/pretrained-files.ts";
import { type FoundWeights, readStart } from "../runs/begin/initial.node.ts";
import { readRunDescription } from "../runs/description.node.ts";
import { type TrainEvent, eventVersion as v } from "../runs/events.ts";
import { folderNames } from "../runs/folder-names.ts";
import { freshProgress, type Progress } from "../runs/progress.ts";
import { elsewhereNotice } from "../runs/resume/begun-on.ts";
import { brokenOff, endOf, missingEnd } from "../runs/resume/ended-run.ts";
import { findRun, lockRun } from "../runs/resume/find-run.node.ts";
import { readRun } from "../runs/resume/resume.node.ts";
import { loadRunCorpus } from "../runs/resume/run-corpus.node.ts";
import { recoverTakeUp } from "../runs/write/kept-checkpoints.node.ts";
import type { RunFolder } from "../runs/write/run-folder.node.ts";
import { prepareData } from "./prepare/data.node.ts";
import { configToGoOn, hasEnded } from "./prepare/go-on.ts";
import { baseRowsOf, drawnState, firstState } from "./prepare/initial.ts";
import { checkHandOut } from "./prepare/lora.ts";
import { noRateNotice } from "./prepare/no-rate.ts";
import { checkTexts, preflight, surroundings } from "./prepare/preflight.node.ts";
import { checkStopAt, settledPlan } from "./prepare/prepare.ts";
import { reopenTeachers, type Teachers } from "./prepare/teachers.node.ts";
import { checkHasTeachers, checkTeachers } from "./prepare/teachers.ts";
import { keepingBase, meet, type Ranks, runPrepared, withBackend, writes } from "./run/prepared-run.node.ts";
import type { ResumedRunOptions } from "./train-options.node.ts";

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

/** Continues a run from its last checkpoint. */
export const resumeRun = async function* (
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
