import { readdir, unlink } from "node:fs/promises";
import { join } from "node:path";
import { earlierConfigs } from "../../config/extend.ts";
import { CheckpointError } from "../../core/errors/errors.ts";
import { systemErrorCode } from "../../core/errors/system-error.ts";
import { UnreadableFileError } from "../../core/system/regular-file.node.ts";
import { checkReplaceable, recoverCheckpoint } from "../../io/checkpoint.node.ts";
import { hasCheckpoint, identityOf } from "../../io/checkpoint-place.node.ts";
import { readJsonLines } from "../../io/jsonl.node.ts";
import type { Lock } from "../../io/lock.node.ts";
import { readManifest } from "../../io/read-manifest.node.ts";
import { temporaryOf } from "../../io/temporary-names.node.ts";
import { stateLayouts } from "../../trainer/state.ts";
import { eventVersion, type TrainEvent } from "../events.ts";
import { folderNames } from "../folder-names.ts";
import { type NotedEvent, parseNoted } from "../noted-events.ts";
import { writeRecord } from "../record/record.node.ts";
import { configHash } from "../same-config.node.ts";
import type { RunStore } from "../store.ts";
import { bestKindsOf } from "./best-kinds.ts";
import type { RunSubject } from "./checkpoint-files.node.ts";
import { bindingAt } from "./elsewhere.node.ts";
import { keepBefore } from "./kept-checkpoints.node.ts";
import { naming } from "./naming.node.ts";
import { openNotes } from "./notes.node.ts";
import { isOfDeletion } from "./rescue.node.ts";
import { readRollback, writeRollback } from "./rollback.node.ts";
import { openSaving } from "./saving.node.ts";
import { openStory } from "./story.node.ts";

/** A run's folder, opened for writing. */
export interface RunFolder extends Required<RunStore> {
  /** Logs the error that ends the run, if possible. */
  noteFailure(error: unknown): Promise<void>;
  /** Closes the folder's files. The caller releases the lock. */
  close(): Promise<void>;
}

async function* notedEvents(path: string): AsyncGenerator<NotedEvent, void, undefined> {
  for await (const line of readJsonLines(path)) {
    const event = parseNoted(line);
    if (event !== undefined) yield event;
  }
}

/** Removes temporary files of a killed process. */
const removeLeftovers = async (folder: string): Promise<void> => {
  const ours: readonly string[] = Object.values(folderNames);
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const name = temporaryOf(entry.name);
    if (entry.isFile() && name !== undefined && ours.includes(name)) await unlink(join(folder, entry.name));
  }
};

/** Cleans up a run's folder, and opens the files to which every step writes. */
const openFiles = async (shown: string, path: string, subject: RunSubject) => {
  const { checkpoint, rollback, metrics } = folderNames;
  await removeLeftovers(path);
  for (const name of [checkpoint, ...bestKindsOf(subject.config).map((kind) => kind.name), rollback]) {
    const folder = join(path, name);
    // Check now, instead of at the first save, whether the folder may be replaced.
    await checkReplaceable(folder, join(shown, name), "moving it to another place");
    const step = (await readManifest(folder))?.run?.step ?? 0;
    await recoverCheckpoint(folder, name === checkpoint ? keepBefore(path, step, subject.keepLast) : undefined);
  }
  const noted = join(path, metrics);
  const story = await openStory(path, subject, notedEvents(noted), await hasCheckpoint(join(path, checkpoint)));
  return { story, notes: await openNotes(noted) };
};

/** Whether README.md and samples.txt show events of this type. */
const isTold = ({ type }: TrainEvent): boolean => ["start", "sample", "eval", "checkpoint", "done"].includes(type);

/**
 * Opens an existing run's folder to continue writing to it.
 * @param shown the folder's path, as events show it.
 * @param lock the folder's lock. The caller releases it after `close`.
 * @param first whether the run's event log is still empty.
 * @param path the absolute path, resolved when the lock was taken. The working directory may have changed since then.
 */
export const openRunFolder = async (
  shown: string,
  subject: RunSubject,
  lock: Lock,
  first: boolean,
  path: string,
): Promise<RunFolder> => {
  const { config, tokenizer } = subject;
  const rollback = join(path, folderNames.rollback);
  const layouts = stateLayouts(config, tokenizer.vocabSize);
  // The rollback point may be from before the run was extended.
  const hashes = [config, ...earlierConfigs(config).map((earlier) => earlier.config)].map(configHash);
  const identity = await identityOf(path);
  // The folder may be deleted, or its disk unmounted, while the run trains. If the system cannot tell, the folder
  // counts as present, and the next write throws the error.
  const isHere = async (): Promise<boolean> => (await identityOf(path).catch(() => identity)) === identity;
  const { story, notes } = await openFiles(shown, path, subject).catch(async (error: unknown) => {
    if (systemErrorCode(error) === undefined && !(error instanceof UnreadableFileError)) throw error;
    throw new CheckpointError({
      where: shown,
      must: "the run's folder must be writable, and its log must be a regular file",
      got: error instanceof Error ? error.message : String(error),
      cause: error,
    });
  });
  const place = { shown, path, notes, isHere, isTaken: lock.isTaken };
  const saving = await openSaving(subject, place).catch(async (error: unknown) => {
    await notes.close();
    throw error;
  });

  /** Try once more, because another program may have been deleting the folder during the first attempt. */
  const twice = (work: () => Promise<void>): Promise<void> =>
    work().catch((error: unknown) => {
      if (!isOfDeletion(error)) throw error;
      return work();
    });
  /** Do not write into a folder that has replaced the run's folder. The next checkpoint detects the change. */
  const unlessGone = async (work: () => Promise<void>): Promise<void> => {
    if (!(await isHere())) return;
    try {
      await twice(work);
    } catch (error) {
      if (await isHere()) throw error;
    }
  };

  /** Step of the last event. */
  let step = 0;
  return {
    path: shown,
    record: async (event) => {
      if ("step" in event) step = event.step;
      // The `start` event of a resumed run is not logged, so the log equals the log of an uninterrupted run.
      if (event.type !== "start" || first) await naming(join(shown, folderNames.metrics), notes.append(event));
      const told = isTold(event) ? unlessGone(() => story.tell(event)) : story.tell(event);
      await naming(join(shown, event.type === "sample" ? folderNames.samples : folderNames.readme), told);
    },
    notes: () => notes.contents(),
    saveCheckpoint: saving.save,
    saveStart: saving.saveStart,
    saveInNeed: saving.saveInNeed,
    saveBest: (values, step) => twice(() => saving.saveBest(values, step)),
    saveAveraged: (values, step) => twice(() => saving.saveAveraged(values, step)),
    async saveRecord(name, chunks) {
      await writeRecord(path, name, chunks);
      return join(shown, name);
    },
    saveRollback: (point) =>
      unlessGone(() =>
        saving.saveRollback((folder) => writeRollback(folder, layouts, point, bindingAt(point.step, config))),
      ),
    async readRollback() {
      await unlessGone(saving.makeRollbackAgain);
      return readRollback(rollback, layouts, hashes);
    },
    async noteFailure(error) {
      const line = {
        v: eventVersion,
        type: "failed",
        step,
        error: String(error instanceof Error ? error.message : error),
      };
      // The run ends with its own error, even if the error cannot be logged.
      await notes.append(line).catch(() => undefined);
    },
    async close() {
      await notes.close();
      await saving.close();
    },
  };
};
