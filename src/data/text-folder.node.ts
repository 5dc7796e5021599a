/** Lists the files of a folder of texts. */
import type { Dirent, Stats } from "node:fs";
import { opendir, realpath, stat } from "node:fs/promises";
import { join } from "node:path";
import { DataError } from "../core/errors/errors.ts";
import { type OwnFolder, ownFolder } from "./own-folder.node.ts";

/**
 * Maximum number of entries. A folder with more entries was named by mistake (for example, a whole disk), or is an
 * attack.
 */
const maxEntries = 100_000;
const maxDepth = 100;

/** Contents of a folder, including its subfolders. Paths are relative to the folder: `name` or `name/name`. */
export interface TextFolder {
  /** Regular files, sorted. */
  readonly files: readonly string[];
  /** Runs and checkpoints. The files in them are not listed. */
  readonly own: readonly { readonly path: string; readonly kind: OwnFolder }[];
  /** Pipes, sockets, devices, and links to missing files. */
  readonly unreadable: readonly string[];
  /** Folders of installed packages. The files in them are not listed. */
  readonly packages: readonly string[];
}

/** A folder with this name contains installed packages. The many texts in it are not training text. */
const packagesName = "node_modules";

interface Entries {
  readonly files: ReadonlySet<string>;
  readonly folders: ReadonlySet<string>;
  readonly others: readonly string[];
}

type Kind = Pick<Stats, "isFile" | "isDirectory">;

/**
 * Kind of an entry, or of a link's target. Undefined for a link without a target, and for an entry that no longer
 * exists.
 */
const kindOf = async (path: string, entry: Dirent): Promise<Kind | undefined> =>
  entry.isFile() || entry.isDirectory() ? entry : stat(path).catch(() => undefined);

/**
 * Lists a folder and its subfolders. Hidden entries and installed packages are left out. Links are followed, but no
 * folder is read twice.
 * @throws DataError for a folder with too many entries; the system's error if a folder cannot be read.
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
          hint: "a folder that contains only the texts",
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
        hint: "a folder that contains only the texts",
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
    // The sorted order decides which of two links to the same folder is followed.
    for (const name of [...folders].sort().reverse()) {
      if (name === packagesName) packages.push(`${prefix}${name}`);
      else waiting.push({ prefix: `${prefix}${name}/`, depth: depth + 1 });
    }
  }
  const byPath = (a: { readonly path: string }, b: { readonly path: string }): number => (a.path < b.path ? -1 : 1);
  return { files: found.sort(), own: own.sort(byPath), unreadable: unreadable.sort(), packages: packages.sort() };
};
