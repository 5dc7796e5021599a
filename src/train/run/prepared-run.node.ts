/** What new and resumed runs have in common: the backend, the meeting of the ranks, and the training itself. */
import type { Backend } from "../../backend/backend.ts";
import { openBackend } from "../../backend/select.node.ts";
import type { RunConfig } from "../../config/config.ts";
import { keepBase } from "../../pretrained/adapter/base/keep.node.ts";
import type { KeptFacts } from "../../pretrained/files/pretrained-files.ts";
import type { FoundWeights } from "../../runs/begin/initial.node.ts";
import type { TrainEvent } from "../../runs/events.ts";
import type { Progress } from "../../runs/progress.ts";
import type { RunData } from "../../runs/run-schemas.ts";
import type { BrokenOff } from "../../runs/store.ts";
import { baseOf } from "../../runs/write/checkpoint-files.node.ts";
import type { RunFolder } from "../../runs/write/run-folder.node.ts";
import { passesPerStep } from "../../trainer/passes.ts";
import { runAlone } from "../../trainer/team.ts";
import type { FirstState } from "../prepare/initial.ts";
import type { preflight } from "../prepare/preflight.node.ts";
import { type Prepared, withDType } from "../prepare/prepare.ts";
import { hashOfTeachers } from "../prepare/teachers.node.ts";
import { checkDivides } from "../ranks/meeting.ts";
import { type MpiTeam, packageVersion } from "../ranks/mpi-team.node.ts";
import { storeOfRanks } from "../ranks/store.ts";
import type { Running } from "../train-options.node.ts";
import { handingOut } from "./hand-out.ts";
import { run } from "./run.ts";
import type { RunInput } from "./run-input.ts";

/** The run's ranks; null if this process trains alone. */
export type Ranks = MpiTeam | null;

/** Opens the backend of a run, unless the caller opened it, and closes it after `work`. */
export async function* withBackend(
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

/** Whether this process writes files. Of several ranks, only rank 0 does. */
export const writes = (ranks: Ranks): boolean => ranks === null || ranks.rank === 0;

/** Waits until all ranks are ready to train the same run. @throws ConfigError that names the first difference. */
export const meet = async (
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
export const keepingBase = ({ lora }: RunConfig, initial: FoundWeights | null, { onNotice }: Running) => {
  const files = lora === undefined ? undefined : initial?.files;
  return async (run: { readonly root: string; readonly shown: string }): Promise<void> => {
    if (files !== undefined) await keepBase(run, files, onNotice);
  };
};

/** Trains a run whose inputs are ready, and closes its folder. */
export async function* runPrepared(
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
