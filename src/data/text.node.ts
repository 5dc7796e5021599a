import type { Stats } from "node:fs";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { DataError } from "../core/errors/errors.ts";
import { systemErrorCode } from "../core/errors/system-error.ts";
import { readRegularFile, UnreadableFileError } from "../core/system/regular-file.node.ts";
import { alternatives } from "../core/text/alternatives.ts";
import type { TextPart } from "./corpus.ts";
import type { OwnFolder } from "./own-folder.node.ts";
import { listTextFolder, type TextFolder } from "./text-folder.node.ts";
import { decodeText, isBinary, maxTextBytes } from "./utf8.ts";

/** A text, and a notice about skipped files. */
export interface TextFromDisk {
  readonly text: string;
  /** The files of the text, in order. */
  readonly parts: readonly TextPart[];
  readonly notice?: string;
}

/** Converts a system error to an error about the file at `path`. */
const fileError = (path: string, error: unknown, names: readonly string[] = []): DataError => {
  const code = systemErrorCode(error) ?? "";
  const hint = alternatives([...names, "a path to a text file or to a folder of text files"]);
  if (code === "ENOENT" || code === "ENOTDIR") {
    return new DataError({ where: path, must: "the file must exist", got: "nothing there", hint, cause: error });
  }
  const got = code === "EACCES" || code === "EPERM" ? `no permission (${code})` : `a system error (${code || error})`;
  return new DataError({ where: path, must: "the file must be readable", got, cause: error });
};

const statOf = async (path: string, names?: readonly string[]): Promise<Stats> => {
  try {
    return await stat(path);
  } catch (error) {
    throw fileError(path, error, names);
  }
};

/**
 * Reads the bytes of a text file. Links are followed, because the user named the file or its folder.
 * @throws DataError for a file that is not a regular file, is too large, or changes while it is read.
 */
const readBytes = async (path: string): Promise<Uint8Array> => {
  try {
    const before = await stat(path);
    const bytes = await readRegularFile(path, { maxBytes: maxTextBytes, followLinks: true });
    const after = await stat(path);
    if (bytes.length === after.size && before.mtimeMs === after.mtimeMs) return bytes;
  } catch (error) {
    if (!(error instanceof UnreadableFileError)) throw fileError(path, error);
    const { must, got } = error;
    throw new DataError({ where: path, must, got, cause: error });
  }
  throw new DataError({
    where: path,
    must: "the file must not change while it is read",
    got: "a changed size or time",
    hint: "again when no program writes to the file",
  });
};

const list = async (folder: string): Promise<TextFolder> => {
  try {
    return await listTextFolder(folder);
  } catch (error) {
    if (error instanceof DataError) throw error;
    throw fileError(error instanceof Error && "path" in error ? String(error.path) : folder, error);
  }
};

/** Makes `text` end with one blank line. */
const withBlankLine = (text: string): string =>
  `${text}${text.endsWith("\n\n") ? "" : text.endsWith("\n") ? "\n" : "\n\n"}`;

/** Counts entries, for example "2 runs, such as runs/a". Undefined if there are no entries. */
const counted = (kind: string, paths: readonly string[], ending = ""): string | undefined =>
  paths.length === 0
    ? undefined
    : paths.length === 1
      ? `1 ${kind}${ending}, ${paths[0]}`
      : `${paths.length} ${kind}s${ending}, such as ${paths[0]}`;

/** Describes in one line the entries of a folder that are not text. Undefined if all entries are texts. */
const noticeOf = (
  folder: string,
  { own, unreadable, packages }: TextFolder,
  binary: readonly string[],
): string | undefined => {
  const ofKind = (wanted: OwnFolder) => own.filter(({ kind }) => kind === wanted).map(({ path }) => path);
  const parts = [
    counted("binary file", binary),
    counted("run", ofKind("run")),
    counted("checkpoint", ofKind("checkpoint")),
    counted("folder", packages, " of installed packages"),
    counted("path", unreadable, " without a file"),
  ].filter((part) => part !== undefined);
  return parts.length === 0 ? undefined : `${folder}: skipped ${parts.join("; ")}`;
};

const emptyFolder = (folder: string, { own }: TextFolder, binary: readonly string[]): DataError => {
  const [first] = own;
  const got =
    first === undefined
      ? binary.length === 0
        ? "none"
        : `only binary files, such as ${binary[0]}`
      : `only files that foretoken wrote, such as the ${first.kind} ${first.path}`;
  return new DataError({
    where: folder,
    must: "the folder must hold at least one text file",
    got,
    hint: "a folder with UTF-8 text files in it (hidden files and node_modules are not read)",
  });
};

/** A decoded file of a folder. */
export interface TextFile {
  readonly path: string;
  readonly text: string;
}

/** The text files of a folder in order, and a notice about skipped files. */
export interface TextFiles {
  readonly files: readonly TextFile[];
  readonly notice?: string;
}

const readFolderFiles = async (folder: string): Promise<TextFiles> => {
  const listed = await list(folder);
  const itself = listed.own.find(({ path }) => path === "");
  if (itself !== undefined) {
    throw new DataError({
      where: folder,
      must: "the folder must hold texts",
      got: `a ${itself.kind} of foretoken`,
      hint: "the text on which the model in this folder was trained, or another text",
    });
  }
  const files: TextFile[] = [];
  const binary: string[] = [];
  let total = 0;
  for (const name of listed.files) {
    const path = join(folder, name);
    const bytes = await readBytes(path);
    if (bytes.length === 0) continue;
    if (isBinary(bytes)) {
      binary.push(name);
      continue;
    }
    total += bytes.length;
    if (total > maxTextBytes) {
      throw new DataError({ where: folder, must: `all texts together must have at most ${maxTextBytes} bytes` });
    }
    files.push({ path, text: decodeText(bytes, path) });
  }
  if (files.length === 0) throw emptyFolder(folder, listed, binary);
  const notice = noticeOf(folder, listed, binary);
  return notice === undefined ? { files } : { files, notice };
};

const joinFiles = ({ files, notice }: TextFiles): TextFromDisk => {
  const parts: TextPart[] = [];
  let text = "";
  for (const [index, file] of files.entries()) {
    parts.push({ where: file.path, start: text.length });
    text += index === files.length - 1 ? file.text : withBlankLine(file.text);
  }
  return notice === undefined ? { text, parts } : { text, parts, notice };
};

/**
 * Reads the text files at `path`, like `readText`, but as separate texts.
 * @throws DataError for the same paths as `readText`.
 */
export const readTextFiles = async (path: string, names?: readonly string[]): Promise<TextFiles> => {
  const kind = await statOf(path, names);
  if (kind.isDirectory()) return readFolderFiles(path);
  if (!kind.isFile()) {
    throw new DataError({ where: path, must: "the path must be a file or a folder", got: "something else" });
  }
  return { files: [{ path, text: decodeText(await readBytes(path), path) }] };
};

/** Names of the texts in a folder and in its subfolders. Undefined for a path that is not a folder. */
export const namesInFolder = async (path: string): Promise<readonly string[] | undefined> => {
  const found = await stat(path).catch(() => undefined);
  return found?.isDirectory() === true ? (await list(path)).files : undefined;
};

/**
 * Reads the text of a file, or of all files in a folder and its subfolders. The files are sorted by path, with one
 * blank line between two files. In a folder, hidden, empty and binary files are skipped. Runs, checkpoints, pipes and
 * devices are skipped, too. `notice` names the skipped entries, except hidden and empty files.
 * @param path the path as the user wrote it. Errors show this path.
 * @param names names to suggest if nothing is at `path`.
 * @throws DataError for a path that is missing, cannot be read, is not a file or folder, or has no text; also the
 * errors of `decodeText`.
 */
export const readText = async (path: string, names?: readonly string[]): Promise<TextFromDisk> =>
  joinFiles(await readTextFiles(path, names));
