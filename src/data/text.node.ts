import type { Stats } from "node:fs";
import { readdir, readFile, realpath, stat } from "node:fs/promises";
import { join } from "node:path";
import { alternatives } from "../core/alternatives.ts";
import { DataError } from "../core/errors.ts";
import { systemErrorCode } from "../core/system-error.ts";
import type { TextPart } from "./corpus.ts";
import { decodeText, isBinary, maxTextBytes } from "./utf8.ts";

/** What was read, and a line about what was passed over. */
export interface TextFromDisk {
  readonly text: string;
  /** The files that it is of, in order. */
  readonly parts: readonly TextPart[];
  readonly notice?: string;
}

/** A system error as a sentence about the file at `path`. */
const fileError = (path: string, error: unknown, names: readonly string[] = []): DataError => {
  const code = systemErrorCode(error) ?? "";
  const hint = alternatives([...names, "a path to a text file or to a folder of them"]);
  if (code === "ENOENT" || code === "ENOTDIR") {
    return new DataError({ where: path, must: "the file must exist", got: "nothing there", hint, cause: error });
  }
  const got =
    code === "EACCES" || code === "EPERM" ? `no permission (${code})` : `an error of the system (${code || error})`;
  return new DataError({ where: path, must: "the file must be readable", got, cause: error });
};

const statOf = async (path: string, names?: readonly string[]): Promise<Stats> => {
  try {
    return await stat(path);
  } catch (error) {
    throw fileError(path, error, names);
  }
};

const readBytes = async (path: string, size: number): Promise<Uint8Array> => {
  if (size > maxTextBytes) {
    throw new DataError({ where: path, must: `a text must be at most ${maxTextBytes} bytes`, got: `${size} bytes` });
  }
  try {
    return await readFile(path);
  } catch (error) {
    throw fileError(path, error);
  }
};

/** Files below `folder` by path, as `name` or `name/name`. Hidden ones are left out; a link to a folder is not followed twice. */
const filesBelow = async (folder: string, prefix: string, seen: Set<string>): Promise<string[]> => {
  const real = await realpath(folder);
  if (seen.has(real)) return [];
  seen.add(real);
  const found: string[] = [];
  for (const name of await readdir(folder)) {
    if (name.startsWith(".")) continue;
    const kind = await stat(join(folder, name));
    if (kind.isDirectory()) found.push(...(await filesBelow(join(folder, name), `${prefix}${name}/`, seen)));
    else if (kind.isFile()) found.push(`${prefix}${name}`);
  }
  return found;
};

const listFolder = async (folder: string): Promise<string[]> => {
  try {
    return (await filesBelow(folder, "", new Set())).sort();
  } catch (error) {
    throw fileError(error instanceof Error && "path" in error ? String(error.path) : folder, error);
  }
};

/** Ends `text` with one blank line, as far as it has none. */
const withBlankLine = (text: string): string =>
  `${text}${text.endsWith("\n\n") ? "" : text.endsWith("\n") ? "\n" : "\n\n"}`;

const readFolder = async (folder: string): Promise<TextFromDisk> => {
  const files: { readonly path: string; readonly text: string }[] = [];
  const skipped: string[] = [];
  let total = 0;
  for (const name of await listFolder(folder)) {
    const path = join(folder, name);
    const { size } = await statOf(path);
    if (size === 0) continue;
    const bytes = await readBytes(path, size);
    if (isBinary(bytes)) {
      skipped.push(name);
      continue;
    }
    total += bytes.length;
    if (total > maxTextBytes) {
      throw new DataError({ where: folder, must: `its texts together must be at most ${maxTextBytes} bytes` });
    }
    files.push({ path, text: decodeText(bytes, path) });
  }
  if (files.length === 0) {
    throw new DataError({
      where: folder,
      must: "the folder must hold at least one text file",
      got: skipped.length === 0 ? "none" : `only binary ones, as ${skipped[0]}`,
      hint: "a folder with UTF-8 text files in it (hidden files are not read)",
    });
  }
  const parts: TextPart[] = [];
  let text = "";
  for (const [index, file] of files.entries()) {
    parts.push({ where: file.path, start: text.length });
    text += index === files.length - 1 ? file.text : withBlankLine(file.text);
  }
  if (skipped.length === 0) return { text, parts };
  return {
    text,
    parts,
    notice: `${folder}: skipped ${skipped.length} binary file${skipped.length > 1 ? "s" : ""}, as ${skipped[0]}`,
  };
};

/**
 * The text of a file, or of all files in a folder and below: sorted by path, one blank line between two. Hidden,
 * empty and binary files of a folder are skipped (`notice` says so of binary ones).
 * @param path as the user gave it; errors name it.
 * @param names what might have been meant where there is nothing at `path`.
 * @throws DataError for a path that is missing, unreadable, no file, or has no text; and as `decodeText`.
 */
export const readText = async (path: string, names?: readonly string[]): Promise<TextFromDisk> => {
  const kind = await statOf(path, names);
  if (kind.isDirectory()) return readFolder(path);
  if (!kind.isFile()) {
    throw new DataError({ where: path, must: "the path must be a file or a folder", got: "something else" });
  }
  return { text: decodeText(await readBytes(path, kind.size), path), parts: [{ where: path, start: 0 }] };
};
