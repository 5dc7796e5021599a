/** Reading checkpoints, which checkpoint.node.ts writes, and the directories of other programs. */
import { createHash } from "node:crypto";
import { readdir, readlink, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { jsonLimits } from "../core/checks/json.ts";
import { CheckpointError } from "../core/errors/errors.ts";
import { systemErrorCode } from "../core/errors/system-error.ts";
import { FileTooLargeError, readRegularFile, UnreadableFileError } from "../core/system/regular-file.node.ts";
import { quotePath } from "../core/text/shell-word.ts";
import type { ByteSource } from "./byte-source.ts";
import { exists, identityOf, messageOf, placeOf } from "./checkpoint.node.ts";
import { hashedSource, openFileSource } from "./file-source.node.ts";
import { isFile } from "./files.node.ts";
import { type FileDigest, isManifest, type Manifest, manifestName, parseManifest } from "./manifest.ts";
import { readManifest } from "./owned-folder.node.ts";
import { isRunFolder } from "./run-places.node.ts";

/** Whether `readCheckpoint` would find a checkpoint `folder`, under its own name or a killed writer's. */
export const hasCheckpoint = async (folder: string): Promise<boolean> => {
  const { path, old } = placeOf(folder);
  return (await exists(path)) || (await exists(old));
};

/** Whether each file of the manifest is there, with its number of bytes. */
export const holdsAllFiles = async (folder: string): Promise<boolean> => {
  const manifest = await readManifest(folder);
  const files = Object.entries(manifest?.files ?? {});
  const isThere = ([name, { bytes }]: [string, FileDigest]): Promise<boolean> =>
    stat(join(folder, name)).then(
      (found) => found.isFile() && found.size === bytes,
      () => false,
    );
  return files.length > 0 && (await Promise.all(files.map(isThere))).every(Boolean);
};

const checkpointHint =
  "a run's folder or one of its checkpoints, a Hugging Face directory, a .gguf file or hf:org/name";

const completeCopy = "a complete copy of the folder";

/** A folder of graphs for ONNX Runtime has all that a model has but its weights. */
const exportedHint = "the model that it was exported from: verify alone reads graphs of ONNX";

/** Larger files are refused before memory is allocated for them. */
const maxBytesOf = (name: string): number =>
  name === "tokenizer.json"
    ? jsonLimits.tokenizer.maxBytes
    : name.endsWith(".json")
      ? jsonLimits.config.maxBytes
      : 2 ** 40;

/** Most entries of a folder that are checked. */
const mostEntries = 1000;

/** Endings of texts to learn from, which people name in place of a model. */
const isTextName = (path: string): boolean => /\.(txt|text|md|jsonl)$/iu.test(path);

const missing = async (path: string): Promise<CheckpointError> => {
  const isThere = await isFile(path);
  const isText = isThere && isTextName(path);
  return new CheckpointError({
    where: path,
    must: "the path must name a model",
    got: isText ? "a text" : isThere ? "a file that is none" : "no such file or folder",
    hint: isText ? `npx foretoken train --data ${quotePath(path)}, or the folder of a run` : checkpointHint,
  });
};

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

/** The checkpoint that a run's folder stands for; undefined: it is none, or has none. */
const checkpointOfRun = async (folder: string): Promise<string | undefined> => {
  if (!(await isRunFolder(folder))) return undefined;
  for (const name of ["best", "checkpoint"]) if (await hasCheckpoint(join(folder, name))) return join(folder, name);
  return undefined;
};

/** Hint for `folder`, which has no file `name`. */
const missingHint = async (folder: string, name: string): Promise<string> => {
  // Not by the file alone: a run that trains an adapter has it in base/, the model as it was before.
  const own = await checkpointOfRun(folder);
  if (own !== undefined) return quotePath(own);
  const found = [...(await checkpointsIn(folder, name))].sort();
  const [first] = found;
  // Of several runs or models, none is more likely to be meant.
  const sameRun = found.every((path) => dirname(path) === dirname(first ?? "") && ofRun.test(basename(path)));
  if (first !== undefined && (found.length === 1 || sameRun)) return quotePath(first);
  if (found.length > 0) return "one of the checkpoints in it";
  const graphs = ["model.onnx", "model_quantized.onnx"].map((file) => isFile(join(folder, "onnx", file)));
  if ((await Promise.all(graphs)).some(Boolean)) return exportedHint;
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

/**
 * The file's place: where a folder of Hugging Face's cache links to a file of its own store, that file. Other links are not
 * followed, since a folder from elsewhere could link to any file of the user's.
 */
const fileIn = async (path: string, name: string): Promise<string> => {
  const file = join(path, name);
  const target = await readlink(file).catch(() => undefined);
  return target !== undefined && /^(\.\.\/)+blobs\/[0-9a-f]{40,64}$/u.test(target) ? join(path, target) : file;
};

const readFile = async (
  folder: string,
  path: string,
  name: string,
  onPiece?: (piece: Uint8Array) => void,
  expectedBytes = maxBytesOf(name),
): Promise<Uint8Array> =>
  readRegularFile(await fileIn(path, name), { maxBytes: Math.min(expectedBytes, maxBytesOf(name)) }, onPiece).catch(
    async (error: unknown) => {
      throw await readError(folder, name, error);
    },
  );

/** null if the folder has none of ours. */
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

const changed = (where: string, got: string): CheckpointError =>
  new CheckpointError({
    where,
    must: `the file must be the one that was saved, by its SHA-256 in ${manifestName}`,
    got,
    hint: completeCopy,
  });

const notListed = (where: string): CheckpointError =>
  new CheckpointError({
    where,
    must: `the folder's ${manifestName} must list the file`,
    got: "no file of that name",
    hint: `${completeCopy}, or a folder without ${manifestName}: its files are read unchecked`,
  });

const listed = (manifest: Manifest, name: string): FileDigest | undefined =>
  Object.hasOwn(manifest.files, name) ? manifest.files[name] : undefined;

/** Reads a file and compares it with the manifest. */
const readChecked = async (
  folder: string,
  path: string,
  name: string,
  manifest: Manifest | null,
): Promise<Uint8Array> => {
  if (manifest === null) return readFile(folder, path, name);
  const hash = createHash("sha256");
  const expected = listed(manifest, name);
  const where = join(folder, name);
  const bytes = await readFile(folder, path, name, (piece) => hash.update(piece), expected?.bytes).catch(
    (error: unknown) => {
      const cause = error instanceof CheckpointError ? error.cause : undefined;
      throw cause instanceof FileTooLargeError && expected !== undefined ? changed(where, cause.got) : error;
    },
  );
  if (expected?.bytes === bytes.length && expected.sha256 === hash.digest("hex")) return bytes;
  if (expected === undefined) throw notListed(where);
  throw changed(where, expected.bytes === bytes.length ? "other contents" : `${bytes.length} bytes`);
};

/** Result of `readCheckpoint`. */
export interface ReadCheckpoint<Name extends string, Optional extends string = never> {
  /** Contents by name, each in its own buffer. */
  readonly files: Record<Name, Uint8Array> & Partial<Record<Optional, Uint8Array>>;
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
 * Reads a checkpoint `folder` by `read`, again if a writer replaces it meanwhile: so all that was read is from the same write.
 * @param read gets the path to read from and the manifest there.
 * @param release gives back what `read` gave, if it is not from the same write.
 */
const readSameWrite = async <T>(
  folder: string,
  read: (path: string, manifest: Manifest | null) => Promise<T>,
  release: (result: T) => Promise<void>,
): Promise<T> => {
  const { path, old } = placeOf(folder);
  for (let attempt = 1; ; attempt++) {
    // A NAME that appears while `.old-NAME` is searched has changed the identity: the next attempt finds it.
    const identity = await look(folder, path);
    const from = identity === undefined && (await look(folder, old)) !== undefined ? old : path;
    const isLast = async (): Promise<boolean> => (await look(folder, path)) === identity || attempt === attempts;
    try {
      if (identity === undefined && from === path && (await look(folder, path)) === undefined)
        throw await missing(folder);
      const result = await read(from, await manifestOf(folder, from));
      if (await isLast()) return result;
      await release(result);
    } catch (error) {
      if (await isLast()) throw error;
    }
  }
};

/**
 * The named files of the checkpoint `folder`, all from the same write, compared with its manifest.
 * @param optional files that are read if they are there; a manifest that lists one demands it.
 * @throws CheckpointError if the folder or one of the files is missing, unreadable, no regular file, or differs from
 *   the manifest.
 */
export const readCheckpoint = <Name extends string, Optional extends string = never>(
  folder: string,
  names: readonly Name[],
  optional: readonly Optional[] = [],
): Promise<ReadCheckpoint<Name, Optional>> =>
  readSameWrite(
    folder,
    async (path, manifest) => {
      const files = await readSmall(folder, path, { required: names, optional }, manifest);
      return { files: files as ReadCheckpoint<Name, Optional>["files"], manifest };
    },
    async () => {},
  );

/** A large file of a checkpoint, open. */
export interface OpenedFile {
  readonly name: string;
  /** Its place on the disk. */
  readonly path: string;
  readonly source: ByteSource;
}

/** Result of `openCheckpoint`. */
export interface OpenedCheckpoint {
  /** Contents of the small files that are there. */
  readonly files: Readonly<Record<string, Uint8Array>>;
  /** Its large files, to be closed by the caller. They are compared with the manifest once they have been read. */
  readonly large: readonly OpenedFile[];
  /** null if there is none, and the files are unchecked. */
  readonly manifest: Manifest | null;
}

/** Which files of a folder to open. */
export interface WantedFiles {
  readonly required: readonly string[];
  /** Read if they are there; a manifest that lists one demands it. */
  readonly optional: readonly string[];
  /**
   * Names of the large files, which follow from the contents of the small ones.
   * @param has whether the folder has a file.
   */
  large(
    files: Readonly<Record<string, Uint8Array>>,
    has: (name: string) => Promise<boolean>,
  ): Promise<readonly string[]>;
}

const openLarge = async (
  folder: string,
  path: string,
  name: string,
  manifest: Manifest | null,
): Promise<OpenedFile> => {
  const where = join(folder, name);
  const file = await fileIn(path, name);
  const source = await openFileSource(file, where).catch(async (error: unknown) => {
    throw await readError(folder, name, error);
  });
  if (manifest === null) return { name, path: file, source };
  const expected = listed(manifest, name);
  if (expected?.bytes === source.size) {
    const differs = (): CheckpointError => changed(where, "other contents");
    return { name, path: file, source: hashedSource(source, expected.sha256, differs) };
  }
  await source.close();
  throw expected === undefined ? notListed(where) : changed(where, `${source.size} bytes`);
};

/** The small files of a folder: the required ones, and the optional ones that are there. */
const readSmall = async (
  folder: string,
  path: string,
  wanted: Pick<WantedFiles, "required" | "optional">,
  manifest: Manifest | null,
) => {
  const files: Record<string, Uint8Array> = {};
  for (const name of wanted.required) files[name] = await readChecked(folder, path, name, manifest);
  for (const name of wanted.optional) {
    const isListed = manifest !== null && listed(manifest, name) !== undefined;
    if (isListed) files[name] = await readChecked(folder, path, name, manifest);
    else if (await isFile(await fileIn(path, name))) files[name] = await readFile(folder, path, name);
  }
  return files;
};

/**
 * Opens the checkpoint `folder`: its small files are read, its large ones are left to be read piece by piece. All are from
 * the same write, also if a writer replaces the folder before they have been read.
 * @throws CheckpointError as `readCheckpoint`; for a large file that differs from the manifest, when it has been read.
 */
export const openCheckpoint = (folder: string, wanted: WantedFiles): Promise<OpenedCheckpoint> => {
  const closeAll = async (large: readonly OpenedFile[]): Promise<void> => {
    await Promise.all(large.map(({ source }) => source.close()));
  };
  return readSameWrite(
    folder,
    async (path, manifest) => {
      const files = await readSmall(folder, path, wanted, manifest);
      const large: OpenedFile[] = [];
      try {
        const has = async (name: string): Promise<boolean> => isFile(await fileIn(path, name));
        for (const name of await wanted.large(files, has)) large.push(await openLarge(folder, path, name, manifest));
      } catch (error) {
        await closeAll(large);
        throw error;
      }
      return { files, large, manifest };
    },
    ({ large }) => closeAll(large),
  );
};
