/** Resumes a run from its folder. */

import { join, resolve } from "node:path";
import type { RunConfig } from "../../config/config.ts";
import { CheckpointError } from "../../core/errors/errors.ts";
import { systemErrorCode } from "../../core/errors/system-error.ts";
import { quoteWord } from "../../core/text/shell-word.ts";
import { hasCheckpoint } from "../../io/checkpoint-place.node.ts";
import { filterJsonLines } from "../../io/jsonl.node.ts";
import type { Lock } from "../../io/lock.node.ts";
import type { KeptFacts } from "../../pretrained/files/pretrained-files.ts";
import type { Tokenizer } from "../../tokenizer/tokenizer.ts";
import { redescribe } from "../description.node.ts";
import type { RunDescription } from "../description.ts";
import { folderNames, keptName, keptStep } from "../folder-names.ts";
import { lostOf, noneLeft } from "../lost-weights.node.ts";
import { freshProgress, type Progress } from "../progress.ts";
import { isSame } from "../same-config.ts";
import type { BrokenOff } from "../store.ts";
import { setBestAside } from "../write/best-aside.node.ts";
import { bestKindsOf } from "../write/best-kinds.ts";
import { keptSteps, setLeftAside, takeUp } from "../write/kept-checkpoints.node.ts";
import { openRunFolder, type RunFolder } from "../write/run-folder.node.ts";
import { arrangeBest, withoutLostBest } from "./best-weights.node.ts";
import type { NamedRun } from "./find-run.node.ts";
import { mendNotes } from "./mended-notes.node.ts";
import { readSaved } from "./saved-state.node.ts";
import type { SavedRun } from "./saved-state.ts";
import type { BaseModel } from "./saved-weights.ts";

/** A run that was read from its folder and can be continued. */
export interface ResumedRun {
  /** The checkpoint. Null for a run that ended before its first checkpoint and starts again. */
  readonly saved: SavedRun | null;
  /** The configuration with which the run continues. */
  readonly config: RunConfig;
  /**
   * Restores the checkpoint's best weights to `best/`. The weights are missing in `best/` if the process was killed
   * while it moved them.
   */
  mendBest(): Promise<void>;
  /**
   * Opens the folder to continue the run. If the run got a new number of steps, its description is rewritten.
   * @param run the checkpoint's tokenizer and facts, and the work that was interrupted when the run was stopped.
   * @param lock the run's lock. The caller releases it at the end.
   */
  open(run: ContinuedRun, lock: Lock): Promise<RunFolder>;
}

/** Further values that a continued run needs. */
export interface ContinuedRun {
  readonly tokenizer: Tokenizer;
  readonly facts: KeptFacts;
  readonly broken?: BrokenOff | undefined;
}

/**
 * Adds a hint to the error for an unreadable checkpoint: the command to resume from an earlier checkpoint, if there is
 * an earlier checkpoint.
 */
const withWayBack = async (
  error: unknown,
  { path, checkpoint }: NamedRun,
  description: RunDescription,
  base: BaseModel | null,
): Promise<unknown> => {
  const step = keptStep(checkpoint);
  // A checkpoint that was set aside belongs to another continuation of the run. So no kept checkpoint comes before it.
  if (!(error instanceof CheckpointError) || (step === undefined && checkpoint !== folderNames.checkpoint))
    return error;
  const failed = step ?? Number.POSITIVE_INFINITY;
  for (const kept of await keptSteps(path).catch(() => [])) {
    if (kept >= failed) continue;
    const whole = await readSaved(join(path, keptName(kept)), description, () => {}, base).then(
      () => true,
      () => false,
    );
    if (!whole) continue;
    return new CheckpointError({
      ...error.details,
      hint: `resume ${quoteWord(join(path, keptName(kept)))}`,
      cause: error,
    });
  }
  return error;
};

/** Throws for a run that has lost its checkpoint. Does nothing for a run that never had a checkpoint. */
const checkNeverSaved = async ({ path, checkpoint }: NamedRun): Promise<void> => {
  const lost = await lostOf(path);
  if (lost === null) return;
  const { kept } = lost;
  const hasBest = await hasCheckpoint(join(path, folderNames.best));
  throw new CheckpointError({
    where: join(path, checkpoint),
    must: "the run must have the checkpoint that it saved",
    ...(kept === null && !hasBest
      ? noneLeft
      : { got: "no such folder", hint: kept === null ? "restoring it" : `resume ${quoteWord(kept)}` }),
  });
};

/** Adds the path of the best weights to an error from moving these weights. */
const inPlace = <T>(path: string, work: Promise<T>): Promise<T> =>
  work.catch((cause: unknown) => {
    if (systemErrorCode(cause) === undefined) throw cause;
    throw new CheckpointError({
      where: join(path, folderNames.best),
      must: "foretoken must be able to rename the best weights, because the run resumes from an earlier step",
      got: cause instanceof Error ? cause.message : String(cause),
      cause,
    });
  });

/** The notice that the kept checkpoints of `steps` were set aside. */
const leftLine = (path: string, steps: readonly number[]): string => {
  const [first = 0, last = first] = [steps[0], steps.at(-1)];
  const which = steps.length === 1 ? `step ${first}` : `steps ${first} to ${last}, ${steps.length} of them`;
  const named = join(path, `${keptName(first)}-set-aside`);
  return `${named}${steps.length === 1 ? "" : " and so on"}: kept checkpoints of an earlier plan that the run no longer follows (${which})`;
};

/** Adds a hint to system errors from preparing a run's folder, for example on a full disk. */
const inOrder = (path: string, work: () => Promise<void>): Promise<void> =>
  work().catch((cause: unknown) => {
    if (systemErrorCode(cause) === undefined) throw cause;
    throw new CheckpointError({
      where: path,
      must: "the run's folder must be writable, with space for its event log; all checkpoints are unchanged",
      got: cause instanceof Error ? cause.message : String(cause),
      hint: `resume ${quoteWord(path)}, once there is space`,
      cause,
    });
  });

/**
 * Reads a checkpoint of the run `named`. Changes nothing before `open`.
 * @param described the run's description on disk.
 * @param goOn returns the configuration with which the run continues from this progress.
 * @param keepLast number of checkpoints that the run keeps from now on.
 * @param onNotice is called if there is no manifest to compare the files with.
 * @param base the base model of the run's adapters; null if the run trains all weights.
 * @throws CheckpointError if a file is missing or damaged, or if the checkpoint belongs to another configuration or
 * step.
 */
export const readRun = async (
  named: NamedRun,
  described: RunDescription,
  goOn: (progress: Progress) => RunConfig,
  keepLast: number = described.keepLast,
  onNotice: (line: string) => void = () => {},
  base: BaseModel | null = null,
): Promise<ResumedRun> => {
  const { path, checkpoint } = named;
  const root = resolve(path);
  const directory = join(path, checkpoint);
  const { data } = described;
  const subject = { data, keepLast, keptMore: described.keepLast > 1 };
  if (!(await hasCheckpoint(directory))) {
    await checkNeverSaved(named);
    const config = goOn(freshProgress);
    return {
      saved: null,
      config,
      mendBest: async () => {},
      async open({ tokenizer, facts }, lock) {
        for (const kind of bestKindsOf(config)) {
          const aside = await inPlace(path, setBestAside(root, path, undefined, undefined, kind));
          if (aside !== undefined) await onNotice(aside.line);
        }
        await inOrder(path, async () => {
          await redescribe(root, described, config);
          await filterJsonLines(join(root, folderNames.metrics), () => false);
        });
        return openRunFolder(path, { ...subject, config, tokenizer, facts }, lock, true, root);
      },
    };
  }
  const read = await readSaved(directory, described, onNotice, base).catch(async (error: unknown) => {
    throw await withWayBack(error, named, described, base);
  });
  const from = { checkpoint, config: described.config };
  // Find the state before calling `goOn`. A run without its best weights has not run out of patience, and this may
  // change how the run continues.
  const known = await withoutLostBest(path, read.state, { ...from, next: described.config }, onNotice);
  const config = goOn(known.progress);
  const ahead = { ...from, next: config };
  const state = isSame(config, described.config) ? known : await withoutLostBest(path, known, ahead, onNotice);
  const saved = { ...read, state };
  const mendBest = (): Promise<void> =>
    inPlace(path, arrangeBest(root, path, { ...ahead, progress: saved.state.progress }, onNotice));
  return {
    saved,
    config,
    mendBest,
    async open({ tokenizer, facts, broken }, lock) {
      const { progress } = saved.state;
      // Do this first: if it fails, nothing has changed.
      await mendBest();
      await inOrder(path, async () => {
        if (checkpoint !== folderNames.checkpoint) {
          const aside = await takeUp(root, checkpoint);
          if (aside !== undefined) {
            await onNotice(`${join(path, aside)}: the former last checkpoint; you can remove it`);
          }
        }
        const left = await setLeftAside(root, progress.step, config);
        if (left.length > 0) await onNotice(leftLine(path, left));
        // Write the description before the log. If the process is killed in between, the run is already extended, and
        // its log can still be repaired.
        await redescribe(root, described, config);
        if (!(await mendNotes(path, root, progress, config.train, broken))) {
          const notes = join(path, folderNames.metrics);
          await onNotice(
            `${notes}: events are missing, including the best evaluation, so the list of runs does not show that evaluation`,
          );
        }
      });
      return openRunFolder(path, { ...subject, config, tokenizer, facts }, lock, false, root);
    },
  };
};
