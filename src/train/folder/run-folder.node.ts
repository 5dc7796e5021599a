import { createHash } from "node:crypto";
import { readdir, stat, unlink } from "node:fs/promises";
import { join } from "node:path";
import { CheckpointError } from "../../core/errors.ts";
import { isRecord } from "../../core/is-record.ts";
import { UnreadableFileError } from "../../core/regular-file.node.ts";
import { systemErrorCode } from "../../core/system-error.ts";
import { checkReplaceable, identityOf, recoverCheckpoint, writeCheckpoint } from "../../io/checkpoint.node.ts";
import { isRegularFile, replaceFile, temporaryOf } from "../../io/files.node.ts";
import { openJsonLines, readJsonLines } from "../../io/jsonl.node.ts";
import type { Lock } from "../../io/lock.node.ts";
import type { Binding } from "../../io/manifest.ts";
import { occupantOf, readManifest } from "../../io/owned-folder.node.ts";
import { hasCheckpoint, holdsAllFiles } from "../../io/read-checkpoint.node.ts";
import { safetensorsPieces } from "../../io/safetensors.ts";
import type { ReadValues } from "../../models/arena.ts";
import { adapterBase } from "../../pretrained/adapter/open.node.ts";
import { adapterTextFiles } from "../../pretrained/adapter/text.ts";
import { adapterFiles } from "../../pretrained/adapter/write.ts";
import { formatVersion, jsonText } from "../../pretrained/checkpoint-json.ts";
import { type KeptFacts, pretrainedFiles } from "../../pretrained/pretrained-files.ts";
import { defaultTokenizer } from "../../tokenizer/config.ts";
import type { Tokenizer } from "../../tokenizer/tokenizer.ts";
import type { RunConfig } from "../config/config.ts";
import { earlierConfigs } from "../config/extend.ts";
import type { TrainEvent } from "../events.ts";
import type { RunStore, SavedState } from "../run/run-input.ts";
import { stateLayouts } from "../steps/state.ts";
import { folderNames } from "./folder-names.ts";
import { holdCheckpoint, holdFiles } from "./held-files.node.ts";
import { keepBefore, prune } from "./kept-checkpoints.node.ts";
import { type NotedEvent, parseNoted } from "./noted-events.ts";
import { momentTensors } from "./optimizer-file.ts";
import { writeRecord } from "./record.node.ts";
import { isOfDeletion, rescued } from "./rescue.node.ts";
import { readRollback, writeRollback } from "./rollback.node.ts";
import type { RunData } from "./run-schemas.ts";
import { openStory } from "./story.node.ts";

/**
 * System errors for a path that leads nowhere. Any other error, as of a broken disk, does not mean that nothing is
 * there.
 */
const nothingThere: readonly string[] = ["ENOENT", "ENOTDIR", "ELOOP", "ENAMETOOLONG"];

export const isFolder = async (path: string): Promise<boolean> =>
  stat(path).then(
    (found) => found.isDirectory(),
    (cause: unknown) => {
      if (nothingThere.includes(systemErrorCode(cause) ?? "")) return false;
      const got = cause instanceof Error ? cause.message : String(cause);
      throw new CheckpointError({ where: path, must: "the folder must be one that can be looked at", got, cause });
    },
  );

/** A run's folder opened for writing. */
export interface RunFolder extends Required<RunStore> {
  /** Releases the folder's lock. */
  close(): Promise<void>;
}

/** Description of a run's folder. */
export interface RunSubject {
  readonly config: RunConfig;
  readonly tokenizer: Tokenizer;
  /** Facts that its checkpoints keep, such as its chat template and the tokens that end a text. */
  readonly facts: KeptFacts;
  readonly data: RunData;
  /** Number of checkpoints to keep, the last one included. */
  readonly keepLast: number;
  /** Whether the run kept more than one before: then the others in the folder are its own. */
  readonly keptMore?: boolean;
}

/**
 * A configuration as JSON without the one field that a resumption may change, and without the default tokenizer, which
 * earlier versions did not write: so hashes stay the same.
 */
export const fixedConfig = (config: unknown): string => {
  if (!isRecord(config) || !isRecord(config.train)) return JSON.stringify(config);
  const { tokenizer, train, ...others } = config;
  const isDefault = JSON.stringify(tokenizer) === JSON.stringify(defaultTokenizer);
  return JSON.stringify({
    ...(isDefault ? {} : { tokenizer }),
    ...others,
    train: { ...train, onNonfinite: undefined },
  });
};

/** SHA-256 of a configuration: a checkpoint's manifest identifies its run by it. */
export const configHash = (config: unknown): string => createHash("sha256").update(fixedConfig(config)).digest("hex");

/** The contents of `run.json`. */
export const descriptionText = ({ config, data, keepLast }: Omit<RunSubject, "tokenizer" | "facts">): string =>
  jsonText({ formatVersion, config, data, keepLast });

/** The files of a model; of one with adapters those of the adapters alone, in PEFT's form, and of the conversations. */
const weightFiles = ({ config, tokenizer, facts, data }: RunSubject, read: ReadValues) =>
  config.lora === undefined
    ? pretrainedFiles(config.model, tokenizer, read, facts)
    : {
        ...adapterFiles(config.model, config.lora, read, adapterBase(data.initFrom?.path ?? null, facts.fused)),
        ...(data.documents === true ? adapterTextFiles(facts) : {}),
      };

const checkpointFiles = (subject: RunSubject, { weights, optimizer, progress }: SavedState) => ({
  ...weightFiles(subject, weights.read),
  "optimizer.safetensors": safetensorsPieces(optimizer.flatMap(momentTensors)),
  "trainer_state.json": jsonText({ formatVersion, config: subject.config, progress }),
});

async function* notedEvents(path: string): AsyncGenerator<NotedEvent, void, undefined> {
  for await (const line of readJsonLines(path)) {
    const event = parseNoted(line);
    if (event !== undefined) yield event;
  }
}

/** Removes the temporary files of a killed process. */
const removeLeftovers = async (folder: string): Promise<void> => {
  const ours: readonly string[] = Object.values(folderNames);
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const name = temporaryOf(entry.name);
    if (entry.isFile() && name !== undefined && ours.includes(name)) await unlink(join(folder, entry.name));
  }
};

/**
 * Opens an existing run's folder to continue writing to it.
 * @param shown its path, as events show it.
 * @param lock the folder's; `close` releases it, and so does a failure to open.
 * @param first whether the run has no notes yet.
 * @param path resolved when the lock was taken, since the program may have changed its working directory.
 */
export const openRunFolder = async (
  shown: string,
  subject: RunSubject,
  lock: Lock,
  first: boolean,
  path: string,
): Promise<RunFolder> => {
  const { config, tokenizer, keepLast, keptMore = false } = subject;
  const checkpoint = join(path, folderNames.checkpoint);
  const best = join(path, folderNames.best);
  const rollback = join(path, folderNames.rollback);
  const noted = join(path, folderNames.metrics);
  const layouts = stateLayouts(config, tokenizer.vocabSize);
  const binding = (step: number) => ({ step, config: configHash(config) });
  // The weights to go back to may be from before the run was extended.
  const hashes = [config, ...earlierConfigs(config).map((earlier) => earlier.config)].map(configHash);
  const description = join(path, folderNames.description);
  const identity = await identityOf(path);
  /** Whether the folder is still the opened one: it may be deleted, or its disk unmounted, while a run goes on. */
  // If that is unknown, the folder counts as there: writing to it then gives the error.
  const isHere = async (): Promise<boolean> => (await identityOf(path).catch(() => identity)) === identity;

  const open = async () => {
    await removeLeftovers(path);
    for (const folder of [checkpoint, best, rollback]) {
      // Now, and not only when there is something to save.
      await checkReplaceable(folder);
      const step = (await readManifest(folder))?.run?.step ?? 0;
      await recoverCheckpoint(folder, folder === checkpoint ? keepBefore(path, step, keepLast) : undefined);
    }
    const story = await openStory(path, subject, notedEvents(noted), await hasCheckpoint(checkpoint));
    return { story, metrics: await openJsonLines(noted) };
  };
  const opened = await open().catch(async (error: unknown) => {
    await lock.release();
    if (systemErrorCode(error) === undefined && !(error instanceof UnreadableFileError)) throw error;
    throw new CheckpointError({
      where: shown,
      must: "the run's folder must be writable, its notes regular files",
      got: error instanceof Error ? error.message : String(error),
      cause: error,
    });
  });

  const { story } = opened;
  let { metrics } = opened;
  /** Of texts that were given, this may be the only copy. */
  const { text, valText, documents, valDocuments } = folderNames;
  const texts = await holdFiles(path, [text, valText, documents, valDocuments]);
  let heldBest = await holdCheckpoint(best);
  /** The last checkpoint of this process. */
  let lastSaved: Binding | undefined;

  /**
   * Writes nothing into a folder that has replaced the run's: the next checkpoint finds the change. Tries once more where a
   * deletion went on meanwhile.
   */
  const unlessGone = async (work: () => Promise<void>, tries = 2): Promise<void> => {
    if (!(await isHere())) return;
    try {
      await work();
    } catch (error) {
      if (!(await isHere())) return;
      if (tries === 1 || !isOfDeletion(error)) throw error;
      await unlessGone(work, tries - 1);
    }
  };
  /** Names the file in an error: for an open file the system does not. */
  const naming = async (name: string, work: Promise<void>): Promise<void> => {
    try {
      await work;
    } catch (cause) {
      const where = join(shown, name);
      if (cause instanceof UnreadableFileError) {
        throw new CheckpointError({ where, must: cause.must, got: cause.got, cause });
      }
      if (systemErrorCode(cause) === undefined) throw cause;
      throw new CheckpointError({
        where,
        must: "the run's notes must be writable while it trains",
        got: cause instanceof Error ? cause.message : String(cause),
        hint: "more room on the disk",
        cause,
      });
    }
  };
  const tells = ({ type }: TrainEvent): boolean => ["start", "sample", "eval", "checkpoint", "done"].includes(type);

  /** @throws CheckpointError if another process has saved in the folder: its work is not replaced. */
  const checkOwn = async (): Promise<void> => {
    const found = (await readManifest(checkpoint))?.run ?? null;
    if (lastSaved === undefined || found === null) return;
    if (found.step === lastSaved.step && found.config === lastSaved.config) return;
    throw new CheckpointError({
      where: join(shown, folderNames.checkpoint),
      must: "no other process may save in the run's folder while it trains",
      got: `a checkpoint of step ${found.step} that this one has not written`,
    });
  };
  const makeNotesAgain = async (): Promise<void> => {
    await replaceFile(noted, metrics.contents());
    const again = await openJsonLines(noted);
    await metrics.close();
    metrics = again;
  };
  /** Makes files again that somebody has deleted: the description, the notes, the best weights. */
  const makeAgain = async (): Promise<void> => {
    if (!(await isRegularFile(description))) {
      await naming(folderNames.description, replaceFile(description, descriptionText(subject)));
    }
    if (!(await isRegularFile(noted))) await naming(folderNames.metrics, makeNotesAgain());
    if (heldBest.run === null || (await holdsAllFiles(best))) return;
    if ((await occupantOf(best)) === "nothing") {
      await writeCheckpoint(best, heldBest.contents(), { run: heldBest.run, makeParents: false });
    }
  };

  const faulty = (got: string): CheckpointError =>
    new CheckpointError({ where: path, must: "the run's folder must stay in its place while it trains", got });
  /** Saves in the run's folder. Resolves to what hinders it, such as that somebody deletes it meanwhile. */
  const faultOfSaving = async (state: SavedState): Promise<CheckpointError | undefined> => {
    const { step } = state.progress;
    const gone = faulty("no such folder any more");
    if (!(await isHere())) return gone;
    try {
      await checkOwn();
      await makeAgain();
      await naming(folderNames.metrics, metrics.flush());
      await writeCheckpoint(checkpoint, checkpointFiles(subject, state), {
        run: binding(step),
        keep: keepBefore(path, step, keepLast),
        makeParents: false,
      });
      lastSaved = binding(step);
      // If only one is kept, others beside it are the user's own copies.
      if (keepLast > 1 || keptMore) await prune(path, step, keepLast);
    } catch (error) {
      if (!(await isHere())) return gone;
      if (error instanceof CheckpointError) return error;
      throw error;
    }
    if (!(await isHere())) return gone;
    const isWhole = (await isRegularFile(description)) && (await holdsAllFiles(checkpoint));
    return isWhole ? undefined : faulty("files that are deleted while they are written");
  };
  let ending: Promise<CheckpointError> | undefined;
  const saveElsewhere = (state: SavedState, fault: CheckpointError): Promise<CheckpointError> => {
    const { progress, weights } = state;
    const { step, best: known } = progress;
    const fromState = { run: binding(step), files: () => weightFiles(subject, weights.read) };
    const { run: heldRun } = heldBest;
    const isHeld = heldRun !== null && heldRun.step === known?.step;
    const fromBefore = isHeld ? { run: heldRun, files: () => heldBest.contents() } : null;
    const bestWeights = known?.step === step ? fromState : fromBefore;
    // Without them, the next evaluation begins anew.
    const going = bestWeights === null ? { ...progress, best: null, evalsSinceBest: 0 } : progress;
    ending ??= rescued(path, fault, {
      ...{ step, steps: config.train.steps, description: descriptionText(subject), run: binding(step) },
      checkpoint: () => checkpointFiles(subject, { ...state, progress: going }),
      best: bestWeights,
      others: () => ({ ...texts.contents(), [folderNames.metrics]: metrics.contents() }),
    });
    return ending;
  };
  const save = async (state: SavedState): Promise<string> => {
    const first = await faultOfSaving(state);
    // A deletion that went on meanwhile may be over.
    const fault = first !== undefined && isOfDeletion(first) ? await faultOfSaving(state) : first;
    if (fault !== undefined) throw await saveElsewhere(state, fault);
    return join(shown, folderNames.checkpoint);
  };

  return {
    path: shown,
    record: async (event) => {
      // Without the `start` of a resumed run, its metrics equal those of an uninterrupted one.
      if (event.type !== "start" || first) await naming(folderNames.metrics, metrics.append(event));
      const told = tells(event) ? unlessGone(() => story.tell(event)) : story.tell(event);
      await naming(event.type === "sample" ? folderNames.samples : folderNames.readme, told);
    },
    saveCheckpoint: save,
    async saveStart(state) {
      // Nothing is trained yet that another place could keep.
      const fault = await faultOfSaving(state);
      if (fault !== undefined) throw fault;
    },
    saveElsewhere,
    saveBest: (values, step) =>
      unlessGone(async () => {
        await writeCheckpoint(best, weightFiles(subject, values), { run: binding(step), makeParents: false });
        await heldBest.close();
        heldBest = await holdCheckpoint(best);
      }),
    async saveRecord(name, chunks) {
      await writeRecord(path, name, chunks);
      return join(shown, name);
    },
    saveRollback: (point) => unlessGone(() => writeRollback(rollback, layouts, point, binding(point.step))),
    readRollback: () => readRollback(rollback, layouts, hashes),
    async close() {
      try {
        await metrics.close();
        await texts.close();
        await heldBest.close();
      } finally {
        await lock.release();
      }
    },
  };
};
