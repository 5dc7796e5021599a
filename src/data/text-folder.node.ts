/** The files of a folder of texts. */
import type { Dirent, Stats } from "node:fs";
import { opendir, realpath, stat } from "node:fs/promises";
import { join } from "node:path";
import { DataError } from "../core/errors/errors.ts";
import { type OwnFolder, ownFolder } from "./own-folder.node.ts";

/** More entries than a folder of texts has: a whole disk was named by mistake, or the folder is a trap. */
const maxEntries = 100_000;
const maxDepth = 100;

/** The content of a folder and of its folders; paths are relative to it, as `name` or `name/name`. */
export interface TextFolder {
  /** Regular files, sorted. */
  readonly files: readonly string[];
  /** Runs and checkpoints; their contents are not among the files. */
  readonly own: readonly { readonly path: string; readonly kind: OwnFolder }[];
  /** Pipes, sockets, devices, and links that lead nowhere. */
  readonly unreadable: readonly string[];
  /** Folders of installed packages; their contents are not among the files. */
  readonly packages: readonly string[];
}

/** Folders with this name hold installed packages, whose many texts nobody means. */
const packagesName = "node_modules";

interface Entries {
  readonly files: ReadonlySet<string>;
  readonly folders: ReadonlySet<string>;
  readonly others: readonly string[];
}

type Kind = Pick<Stats, "isFile" | "isDirectory">;

/** The kind of an entry, or of its target; undefined for a dangling link and a vanished entry. */
const kindOf = async (path: string, entry: Dirent): Promise<Kind | undefined> =>
  entry.isFile() || entry.isDirectory() ? entry : stat(path).catch(() => undefined);

/**
 * Lists a folder and its folders. Hidden entries and installed packages are left out. A link is followed, but no folder is read twice.
 * @throws DataError for a folder with too many entries; the system's own error if it refuses.
 */
export const listTextFolder = async (folder: string): Promise<TextFolder> => {
  let entries = 0;
  const read = async (path: string): Promise<Entries> => {
    const files = new Set<string>();
    const folders = new Set<string>();
    const others: string[] = [];
    for await (const entry of await opendir(path, { bufferSize: 1024 })) {
      entries++;
      if (entries > maxEntries) {
        throw new DataError({
          where: folder,
          must: `a folder of texts must hold at most ${maxEntries} files and folders`,
          got: "more",
          hint: "a folder with the texts only",
        });
      }
      if (entry.name.startsWith(".")) continue;
      const kind = await kindOf(join(path, entry.name), entry);
      if (kind?.isFile() === true) files.add(entry.name);
      else if (kind?.isDirectory() === true) folders.add(entry.name);
      else others.push(entry.name);
    }
    return { files, folders, others };
  };

  const found: string[] = [];
  const own: { path: string; kind: OwnFolder }[] = [];
  const unreadable: string[] = [];
  const packages: string[] = [];
  const seen = new Set<string>();
  const waiting: { readonly prefix: string; readonly depth: number }[] = [{ prefix: "", depth: 0 }];
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const { prefix, depth } = next;
    if (depth > maxDepth) {
      throw new DataError({
        where: folder,
        must: `a folder of texts must be at most ${maxDepth} folders deep`,
        got: "more",
        hint: "a folder with the texts only",
      });
    }
    const path = join(folder, prefix);
    const real = await realpath(path);
    if (seen.has(real)) continue;
    seen.add(real);
    const { files, folders, others } = await read(path);
    const kind = await ownFolder(path, files, folders);
    if (kind !== undefined) {
      own.push({ path: prefix.replace(/\/$/u, ""), kind });
      continue;
    }
    for (const name of files) found.push(`${prefix}${name}`);
    for (const name of others) unreadable.push(`${prefix}${name}`);
    // The first in order comes next: of two links to one folder, always the same one is followed.
    for (const name of [...folders].sort().reverse()) {
      if (name === packagesName) packages.push(`${prefix}${name}`);
      else waiting.push({ prefix: `${prefix}${name}/`, depth: depth + 1 });
    }
  }
  const byPath = (a: { readonly path: string }, b: { readonly path: string }): number => (a.path < b.path ? -1 : 1);
  return { files: found.sort(), own: own.sort(byPath), unreadable: unreadable.sort(), packages: packages.sort() };
};
