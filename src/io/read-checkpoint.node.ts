/** Reads checkpoints that checkpoint.node.ts wrote, and model directories of other programs. */
import { createHash } from "node:crypto";
import { readdir, readlink, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { jsonLimits } from "../core/checks/json.ts";
import { CheckpointError } from "../core/errors/errors.ts";
import { messageOf, systemErrorCode } from "../core/errors/system-error.ts";
import { FileTooLargeError, isFile, readRegularFile, UnreadableFileError } from "../core/system/regular-file.node.ts";
import { quotePath, quoteWord } from "../core/text/shell-word.ts";
import type { ByteSource } from "./byte-source.ts";
import { checkpointOfRun, identityOf, placeOf } from "./checkpoint-place.node.ts";
import { hashedSource, openFileSource } from "./file-source.node.ts";
import { type FileDigest, isManifest, type Manifest, manifestName, parseManifest } from "./manifest.ts";
import { readManifest } from "./read-manifest.node.ts";
import { isRunFolder } from "./run-places.node.ts";

/** Whether all files in the manifest exist with the listed sizes. */
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

/** Hint for a folder of ONNX graphs. Such a folder has all files of a model except safetensors weights. */
const exportedHint = "the model that the graphs were exported from, because only verify reads ONNX graphs";

/** Maximum size of a file. A larger file is refused before memory is allocated. */
const maxBytesOf = (name: string): number =>
  name === "tokenizer.json"
    ? jsonLimits.tokenizer.maxBytes
    : name.endsWith(".json")
      ? jsonLimits.config.maxBytes
      : 2 ** 40;

/** Maximum number of entries of a folder that are examined. */
const mostEntries = 1000;

/** Whether a file name looks like a training text. Users sometimes pass a text instead of a model. */
const isTextName = (path: string): boolean => /\.(txt|text|md|jsonl)$/iu.test(path);

const missing = async (path: string): Promise<CheckpointError> => {
  const isThere = await isFile(path);
  const isText = isThere && isTextName(path);
  return new CheckpointError({
    where: path,
    must: "the path must name a model",
    got: isText ? "a text" : isThere ? "a file that is not a model" : "no such file or folder",
    hint: isText ? `npx foretoken train --data ${quotePath(path)}, or the folder of a run` : checkpointHint,
  });
};

/** Finds the checkpoints of Foretoken that have a file `name`, at most two levels below `folder`. */
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

/** Matches names of checkpoints in a run's folder. */
const ofRun = /^(best|averaged|checkpoint(-\d+)?)$/u;

/** Hint for a `folder` without a file `name`. */
const missingHint = async (folder: string, name: string): Promise<string> => {
  // Look for a run first. In the folder of an adapter's run, only base/ has such a file, but base/ contains the model
  // before training.
  const own = await checkpointOfRun(folder);
  if (own !== undefined) return quotePath(own);
  const found = [...(await checkpointsIn(folder, name))].sort();
  const [first] = found;
  // If there are several runs or models, do not guess which run or model is meant.
  const sameRun = found.every((path) => dirname(path) === dirname(first ?? "") && ofRun.test(basename(path)));
  if (first !== undefined && (found.length === 1 || sameRun)) return quotePath(first);
  if (found.length > 0) return "one of the checkpoints in it";
  if (await isRunFolder(folder)) return `npx foretoken train --resume ${quoteWord(folder)}`;
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
 * Returns the path of the file. A link is followed only in Hugging Face's cache, where files are links into the cache's
 * store. Other links are not followed, because a downloaded folder could link to any file of the user.
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

/** Reads the folder's manifest. Returns null if Foretoken wrote no manifest there. */
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
  // Another program's manifest, for example a web page's, has none of Foretoken's fields. If only the mark is damaged,
  // the other fields still show that Foretoken wrote the file.
  if (json !== undefined && !isManifest(json)) return null;
  const manifest = parseManifest(json);
  if (manifest !== undefined) return manifest;
  throw new CheckpointError({
    where: join(folder, manifestName),
    must: "the file must list the checkpoint's files with their SHA-256",
    got: "a damaged file",
    hint: completeCopy,
  });
};

const changed = (where: string, got: string): CheckpointError =>
  new CheckpointError({
    where,
    must: `the file must match its SHA-256 in ${manifestName}`,
    got,
    hint: completeCopy,
  });

const notListed = (where: string): CheckpointError =>
  new CheckpointError({
    where,
    must: `the folder's ${manifestName} must list the file`,
    got: "no file with this name",
    hint: `${completeCopy}, or deleting ${manifestName} to read the files without a check`,
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
  /** The manifest that the files were compared with. Null: there was no manifest, so the files were not checked. */
  readonly manifest: Manifest | null;
}

/** Calls `identityOf`, and turns a system error into a CheckpointError. */
const look = (folder: string, path: string): Promise<string | undefined> =>
  identityOf(path).catch((cause: unknown) => {
    const must = "the folder must be readable";
    throw new CheckpointError({ where: folder, must, got: messageOf(cause), cause });
  });

/** Maximum number of attempts to read a folder that writers keep replacing. */
const attempts = 100;

/**
 * Reads a checkpoint `folder` with `read`. If a writer replaces the folder in the meantime, reads it again. So all
 * files come from the same write.
 * @param read gets the path to read from and the manifest there.
 * @param release releases a result of `read` that is discarded.
 */
const readSameWrite = async <T>(
  folder: string,
  read: (path: string, manifest: Manifest | null) => Promise<T>,
  release: (result: T) => Promise<void>,
): Promise<T> => {
  const { path, old } = placeOf(folder);
  for (let attempt = 1; ; attempt++) {
    // If NAME appears during the search for `.old-NAME`, the folder's identity changes. The next attempt then finds
    // NAME.
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
 * Reads the named files of the checkpoint `folder` and compares them with the manifest. All files come from the same
 * write.
 * @param optional files that are read if they exist. A file that the manifest lists must exist.
 * @throws CheckpointError if the folder or a file is missing, unreadable or not regular, or if a file differs from the
 * manifest.
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

/** An open large file of a checkpoint. */
export interface OpenedFile {
  readonly name: string;
  /** Path on disk. */
  readonly path: string;
  readonly source: ByteSource;
}

/** Result of `openCheckpoint`. */
export interface OpenedCheckpoint {
  /** Contents of the small files that exist. */
  readonly files: Readonly<Record<string, Uint8Array>>;
  /** The large files. The caller closes them. The files are compared with the manifest after they have been read. */
  readonly large: readonly OpenedFile[];
  /** The manifest. Null: there is no manifest, so the files are not checked. */
  readonly manifest: Manifest | null;
}

/** Which files of a folder to open. */
export interface WantedFiles {
  readonly required: readonly string[];
  /** Files that are read if they exist. A file that the manifest lists must exist. */
  readonly optional: readonly string[];
  /**
   * Returns the names of the large files. The contents of the small files determine these names.
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

/** Reads the small files of a folder: the required files, and the optional files that exist. */
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
 * Opens the checkpoint `folder`: reads its small files, and opens its large files to be read piece by piece. All files
 * come from the same write, even if a writer replaces the folder before the large files have been read.
 * @throws CheckpointError as `readCheckpoint`. If a large file differs from the manifest, the error is thrown after the
 * file has been read.
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
