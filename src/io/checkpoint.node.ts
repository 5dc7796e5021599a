import { createHash } from "node:crypto";
import { mkdir, readdir, rename, stat } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";
import { CheckpointError } from "../core/errors.ts";
import { jsonLimits } from "../core/json.ts";
import { FileTooLargeError, readRegularFile, UnreadableFileError } from "../core/regular-file.node.ts";
import { quoteWord } from "../core/shell-word.ts";
import { systemErrorCode } from "../core/system-error.ts";
import { type Contents, flushFolder, makeFolders, temporaryName, temporaryOf, writeFlushed } from "./files.node.ts";
import {
  type Binding,
  type FileDigest,
  isManifest,
  type Manifest,
  manifestJson,
  manifestName,
  parseManifest,
} from "./manifest.ts";
import { occupantOf, removeOwned } from "./owned-folder.node.ts";

/**
 * A checkpoint is a folder of files that are written together and read together, with a manifest of their hashes. To
 * replace NAME:
 *
 *     1. the files go into `.tmp-<random>-NAME` beside it, and are flushed to the disk
 *     2. NAME is renamed to `.old-NAME`          (if there is a NAME)
 *     3. `.tmp-<random>-NAME` is renamed to NAME
 *     4. `.old-NAME` is removed, file by file, or kept under another name
 *
 * After a kill at any moment, the folder under its name is complete: the old one until 2, the new one from 3 on. Between
 * 2 and 3 there is only `.old-NAME`: readers then read it, and the next writer (or `recoverCheckpoint`) renames it back.
 * The next writer removes a `.tmp-…` that was not renamed, and an `.old-NAME` beside a NAME. One process at a time may
 * write a checkpoint; any number may read it meanwhile.
 *
 * Only what this program wrote is removed: see owned-folder.node.ts.
 */

interface Place {
  readonly path: string;
  readonly parent: string;
  readonly name: string;
  /** The former checkpoint, while it is being replaced. */
  readonly old: string;
}

const placeOf = (folder: string): Place => {
  const path = resolve(folder);
  const parent = dirname(path);
  const name = basename(path);
  return { path, parent, name, old: join(parent, `.old-${name}`) };
};

/** A folder's identity, which changes when another takes its name; undefined if there is none. */
export const identityOf = async (path: string): Promise<string | undefined> => {
  try {
    const found = await stat(path, { bigint: true });
    return found.isDirectory() ? `${found.dev}:${found.ino}:${found.birthtimeNs}` : undefined;
  } catch (error) {
    const code = systemErrorCode(error);
    if (code === "ENOENT" || code === "ENOTDIR") return undefined;
    throw error;
  }
};

const exists = async (path: string): Promise<boolean> => (await identityOf(path)) !== undefined;

/** The new place of the replaced checkpoint `old`; undefined: it is removed. */
export type Keep = (old: string) => Promise<string | undefined>;

/** Removes or keeps the checkpoint `old`, which `path` has replaced. */
const putAway = async ({ path, old }: Place, keep: Keep | undefined): Promise<void> => {
  const kept = await keep?.(old);
  if (kept === undefined) await removeOwned(old, path);
  else await rename(old, kept);
};

/**
 * Completes or undoes a killed writer's work on the checkpoint `folder`, so that it is under its own name. Not for use
 * while another process writes it.
 * @param keep as in `writeCheckpoint`.
 * @param own names of files, besides a checkpoint's usual ones, that a killed writer may have left.
 */
export const recoverCheckpoint = async (folder: string, keep?: Keep, own: readonly string[] = []): Promise<void> => {
  const place = placeOf(folder);
  const { path, parent, name, old } = place;
  if (!(await exists(parent))) return;
  const occupant = await occupantOf(old);
  if (occupant !== "nothing") {
    const isOld = occupant === "ours" || occupant === "an empty folder";
    if (isOld && (await occupantOf(path)) === "nothing") await rename(old, path);
    else if (isOld && (await exists(path))) await putAway(place, keep);
    else {
      throw new CheckpointError({
        where: old,
        must: "the name must be free while the checkpoint beside it is replaced",
        got: occupant,
        hint: "another name for it",
      });
    }
  }
  for (const entry of await readdir(parent, { withFileTypes: true })) {
    if (entry.isDirectory() && temporaryOf(entry.name) === name) {
      await removeOwned(join(parent, entry.name), undefined, own);
    }
  }
};

const checkFileNames = (folder: string, names: readonly string[]): void => {
  const bad = names.find((name) => name !== basename(name) || ["", ".", "..", manifestName].includes(name));
  if (bad !== undefined) {
    throw new CheckpointError({
      where: folder,
      must: "a checkpoint's files must be plain names",
      got: JSON.stringify(bad),
    });
  }
};

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));

const writeError = (folder: string, error: unknown): CheckpointError =>
  error instanceof CheckpointError
    ? error
    : new CheckpointError({
        where: folder,
        must: "the checkpoint must be writable; what was there before is unharmed",
        got: messageOf(error),
        hint: "another folder, or more room on the disk",
        cause: error,
      });

/**
 * Fails unless `folder` can be replaced by a checkpoint: it is unused, empty, or a checkpoint that this program wrote.
 * @throws CheckpointError also if it cannot be listed.
 */
export const checkReplaceable = async (folder: string): Promise<void> => {
  const occupant = await occupantOf(placeOf(folder).path);
  if (occupant === "nothing" || occupant === "an empty folder" || occupant === "ours") return;
  throw new CheckpointError({
    where: folder,
    must: "the folder must be new, empty or a checkpoint that foretoken wrote",
    got: occupant,
    hint: "another folder",
  });
};

const replace = async (place: Place, temporary: string, keep: Keep | undefined): Promise<void> => {
  const { path, parent, old } = place;
  const replaced = await exists(path);
  if (replaced) await rename(path, old);
  try {
    await rename(temporary, path);
  } catch (error) {
    if (replaced) await rename(old, path);
    throw error;
  }
  await flushFolder(parent);
  // The new one is in its place: the next writer removes the rest.
  if (replaced) await putAway(place, keep).catch(() => undefined);
};

/** Options of `writeCheckpoint`, besides the files. */
export interface WriteOptions {
  /** The run of the files. */
  readonly run?: Binding;
  /** New place of the replaced checkpoint; without, it is removed. */
  readonly keep?: Keep;
  /** false: the folder's parent must exist. Default true. */
  readonly makeParents?: boolean;
}

/**
 * Writes the checkpoint `folder` with exactly these files and a manifest, in place of the existing one; a kill or an
 * error leaves the old one or the new one, never half. Returns when it is on the disk itself.
 * @param files contents by plain file name; pieces are asked for one after the other.
 * @throws CheckpointError if the system refuses, or the name belongs to another program's files.
 */
export const writeCheckpoint = async (
  folder: string,
  files: Readonly<Record<string, Contents>>,
  { run, keep, makeParents = true }: WriteOptions = {},
): Promise<void> => {
  const place = placeOf(folder);
  const names = Object.keys(files);
  checkFileNames(folder, names);
  const temporary = join(place.parent, temporaryName(place.name));
  let made = false;
  try {
    if (makeParents) await makeFolders(place.parent);
    await checkReplaceable(folder);
    await recoverCheckpoint(folder, keep, names);
    await mkdir(temporary);
    made = true;
    const digests: Record<string, FileDigest> = {};
    for (const [name, contents] of Object.entries(files)) {
      const hash = createHash("sha256");
      let bytes = 0;
      await writeFlushed(join(temporary, name), contents, (piece) => {
        hash.update(piece);
        bytes += piece.length;
      });
      digests[name] = { bytes, sha256: hash.digest("hex") };
    }
    await writeFlushed(join(temporary, manifestName), manifestJson({ run: run ?? null, files: digests }));
    await flushFolder(temporary);
    await replace(place, temporary, keep);
  } catch (error) {
    if (made && (await exists(temporary).catch(() => false))) {
      await removeOwned(temporary, undefined, names).catch(() => undefined);
    }
    throw writeError(folder, error);
  }
};

/** Whether `readCheckpoint` would find a checkpoint `folder`, under its own name or a killed writer's. */
export const hasCheckpoint = async (folder: string): Promise<boolean> => {
  const { path, old } = placeOf(folder);
  return (await exists(path)) || (await exists(old));
};

const checkpointHint = "a run's folder, or the checkpoint/ or best/ in it";

const missing = (folder: string): CheckpointError =>
  new CheckpointError({
    where: folder,
    must: "the path must be a checkpoint's folder",
    got: "no such folder",
    hint: checkpointHint,
  });

const completeCopy = "a complete copy of the folder";

/** Larger files are refused before memory is allocated for them. */
const maxBytesOf = (name: string): number =>
  name === "tokenizer.json"
    ? jsonLimits.tokenizer.maxBytes
    : name.endsWith(".json")
      ? jsonLimits.config.maxBytes
      : 2 ** 40;

/** Most entries of a folder that are checked. */
const mostEntries = 1000;

const isFile = async (path: string): Promise<boolean> =>
  stat(path).then(
    (found) => found.isFile(),
    () => false,
  );

/** Checkpoints of ours with a file `name`, in `folder` or one folder deeper. */
const checkpointsIn = async (folder: string, name: string, depth = 2): Promise<readonly string[]> => {
  if (depth === 0) return [];
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  const inside = entries.filter((entry) => entry.isDirectory() && !entry.name.startsWith(".")).slice(0, mostEntries);
  const found: string[] = [];
  for (const { name: inner } of inside) {
    const path = join(folder, inner);
    const files = await Promise.all([name, manifestName].map((file) => isFile(join(path, file))));
    found.push(...(files.every(Boolean) ? [path] : await checkpointsIn(path, name, depth - 1)));
  }
  return found;
};

/** Names of the checkpoints in a run's folder. */
const ofRun = /^(best|checkpoint(-\d+)?)$/u;

/** Hint for `folder`, which has no file `name`. */
const missingHint = async (folder: string, name: string): Promise<string> => {
  const found = [...(await checkpointsIn(folder, name))].sort();
  const [first] = found;
  // Of several runs or models, none is more likely to be meant.
  const sameRun = found.every((path) => dirname(path) === dirname(first ?? "") && ofRun.test(basename(path)));
  if (first !== undefined && (found.length === 1 || sameRun)) return quoteWord(first);
  if (found.length > 0) return "one of the checkpoints in it";
  const others = ["config.json", "tokenizer.json", "model.safetensors", manifestName];
  const some = await Promise.all(others.map((file) => isFile(join(folder, file))));
  return some.some(Boolean) ? completeCopy : checkpointHint;
};

const readError = async (folder: string, name: string, error: unknown): Promise<CheckpointError> => {
  const where = join(folder, name);
  if (systemErrorCode(error) === "ENOENT") {
    const must = `a checkpoint must have ${name}`;
    const hint = await missingHint(folder, name);
    return new CheckpointError({ where, must, got: "no such file", hint, cause: error });
  }
  if (error instanceof UnreadableFileError) {
    return new CheckpointError({ where, must: error.must, got: error.got, hint: completeCopy, cause: error });
  }
  return new CheckpointError({ where, must: "the file must be readable", got: messageOf(error), cause: error });
};

const readFile = (
  folder: string,
  path: string,
  name: string,
  onPiece?: (piece: Uint8Array) => void,
  expectedBytes = maxBytesOf(name),
): Promise<Uint8Array> =>
  readRegularFile(join(path, name), { maxBytes: Math.min(expectedBytes, maxBytesOf(name)) }, onPiece).catch(
    async (error: unknown) => {
      throw await readError(folder, name, error);
    },
  );

/** null if the folder has none of ours: another program wrote it, or an early version. */
const manifestOf = async (folder: string, path: string): Promise<Manifest | null> => {
  const bytes = await readRegularFile(join(path, manifestName), { maxBytes: maxBytesOf(manifestName) }).catch(
    async (error: unknown) => {
      if (systemErrorCode(error) === "ENOENT") return undefined;
      throw await readError(folder, manifestName, error);
    },
  );
  if (bytes === undefined) return null;
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    json = undefined;
  }
  // Another program's manifest, as for a page, has nothing of this. If only the mark is damaged, the rest shows it.
  if (json !== undefined && !isManifest(json)) return null;
  const manifest = parseManifest(json);
  if (manifest !== undefined) return manifest;
  throw new CheckpointError({
    where: join(folder, manifestName),
    must: "the file must list the checkpoint's files with their SHA-256",
    got: "a damaged one",
    hint: completeCopy,
  });
};

/** Reads a file and compares it with the manifest. */
const readChecked = async (
  folder: string,
  path: string,
  name: string,
  manifest: Manifest | null,
): Promise<Uint8Array> => {
  if (manifest === null) return readFile(folder, path, name);
  const hash = createHash("sha256");
  const expected = Object.hasOwn(manifest.files, name) ? manifest.files[name] : undefined;
  const changed = (got: string): CheckpointError =>
    new CheckpointError({
      where: join(folder, name),
      must: `the file must be the one that was saved, by its SHA-256 in ${manifestName}`,
      got,
      hint: completeCopy,
    });
  const bytes = await readFile(folder, path, name, (piece) => hash.update(piece), expected?.bytes).catch(
    (error: unknown) => {
      const cause = error instanceof CheckpointError ? error.cause : undefined;
      throw cause instanceof FileTooLargeError && expected !== undefined ? changed(cause.got) : error;
    },
  );
  if (expected?.bytes === bytes.length && expected.sha256 === hash.digest("hex")) return bytes;
  throw changed(expected?.bytes === bytes.length ? "other contents" : `${bytes.length} bytes`);
};

/** Result of `readCheckpoint`. */
export interface ReadCheckpoint<Name extends string> {
  /** Contents by name, each in its own buffer. */
  readonly files: Record<Name, Uint8Array>;
  /** The manifest that the files were compared with; null if there is none, and they are unchecked. */
  readonly manifest: Manifest | null;
}

/** `identityOf`, with a reader's errors. */
const look = (folder: string, path: string): Promise<string | undefined> =>
  identityOf(path).catch((cause: unknown) => {
    const must = "the folder must be readable";
    throw new CheckpointError({ where: folder, must, got: messageOf(cause), cause });
  });

/** Number of attempts of a reader, if a writer replaces the folder meanwhile. */
const attempts = 100;

/**
 * The named files of the checkpoint `folder`, all from the same write, compared with its manifest.
 * @throws CheckpointError if the folder or one of the files is missing, unreadable, no regular file, or differs from
 *   the manifest.
 */
export const readCheckpoint = async <Name extends string>(
  folder: string,
  names: readonly Name[],
): Promise<ReadCheckpoint<Name>> => {
  const { path, old } = placeOf(folder);
  for (let attempt = 1; ; attempt++) {
    // A NAME that appears while `.old-NAME` is searched has changed the identity: the next attempt finds it.
    const identity = await look(folder, path);
    const from = identity === undefined && (await look(folder, old)) !== undefined ? old : path;
    try {
      if (identity === undefined && from === path && (await look(folder, path)) === undefined) throw missing(folder);
      const manifest = await manifestOf(folder, from);
      const files = {} as Record<Name, Uint8Array>;
      for (const name of names) files[name] = await readChecked(folder, from, name, manifest);
      if ((await look(folder, path)) === identity || attempt === attempts) return { files, manifest };
    } catch (error) {
      if ((await look(folder, path)) === identity || attempt === attempts) throw error;
    }
  }
};
