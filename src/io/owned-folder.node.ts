/**
 * Folders that Foretoken may replace. The contents are removed file by file. Only files that Foretoken wrote are
 * removed. Files of other programs are moved or stay.
 */
import { lstat, readdir, rename, rmdir, unlink } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { systemErrorCode } from "../core/errors/system-error.ts";
import { hasDigest } from "./digest.node.ts";
import { isOwnConfig } from "./first-form.node.ts";
import { isMarked, type Manifest, manifestName } from "./manifest.ts";
import { readManifest, readMark } from "./read-manifest.node.ts";

/**
 * Names of a checkpoint's files. In a folder with Foretoken's mark, these files belong to Foretoken even if somebody
 * edited them.
 */
export const checkpointNames: readonly string[] = [
  "config.json",
  "generation_config.json",
  "model.safetensors",
  "tokenizer.json",
  "tokenizer_config.json",
  "optimizer.safetensors",
  "trainer_state.json",
  "state.safetensors",
  "adapter_config.json",
  "adapter_model.safetensors",
  manifestName,
];

/** Whether Foretoken wrote a folder. The folder's manifest or its `config.json` tells. */
const isOurs = async (folder: string): Promise<boolean> =>
  isMarked(await readMark(join(folder, manifestName))) || isOwnConfig(await readMark(join(folder, "config.json")));

/** The kinds of things that a path can contain. */
export type Occupant =
  | "nothing"
  | "an empty folder"
  | "ours"
  | "a folder that foretoken did not write"
  | "a file"
  | "a link";

/** @throws the operating system's error if a folder cannot be listed or a path cannot be read. */
export const occupantOf = async (path: string): Promise<Occupant> => {
  const found = await lstat(path).catch((error: unknown) => {
    if (systemErrorCode(error) === "ENOENT") return undefined;
    throw error;
  });
  if (found === undefined) return "nothing";
  if (found.isSymbolicLink()) return "a link";
  if (!found.isDirectory()) return "a file";
  if ((await readdir(path)).length === 0) return "an empty folder";
  return (await isOurs(path)) ? "ours" : "a folder that foretoken did not write";
};

/**
 * Number of parent folders of a new file that are searched for a manifest. A checkpoint has at most one level of inner
 * folders.
 */
const mostAbove = 3;

/**
 * Returns the checkpoint's folder that contains `path`, or undefined if `path` is not in a checkpoint. A new file must
 * not be put there, because the checkpoint's manifest would not list it.
 */
export const checkpointAround = async (path: string): Promise<string | undefined> => {
  let folder = resolve(path);
  for (let i = 0; i < mostAbove; i++) {
    folder = dirname(folder);
    if (isMarked(await readMark(join(folder, manifestName)))) return folder;
  }
  return undefined;
};

/** The first free name among `path`, `path-2`, `path-3`, … */
export const freeName = async (path: string): Promise<string> => {
  for (let i = 1; ; i++) {
    const name = i === 1 ? path : `${path}-${i}`;
    if ((await occupantOf(name)) === "nothing") return name;
  }
};

/**
 * Whether a file has the hash that the manifest lists. @param name name of the file, or "folder/name" in an inner
 * folder.
 */
const isUnchanged = async (path: string, name: string, manifest: Manifest | null): Promise<boolean> => {
  if (manifest === null || !Object.hasOwn(manifest.files, name)) return false;
  const digest = manifest.files[name];
  return digest !== undefined && (await hasDigest(join(path, name), digest));
};

/**
 * Returns the paths of the files in an inner folder, or undefined if any of them is not Foretoken's. A file is
 * Foretoken's if `own` lists it as "folder/name", or if it still has the hash in the manifest.
 */
const ownInside = async (
  folder: string,
  inner: string,
  own: readonly string[],
  manifest: Manifest | null,
): Promise<readonly string[] | undefined> => {
  const known = [...own, ...Object.keys(manifest?.files ?? {})];
  if (!known.some((name) => name.startsWith(`${inner}/`))) return undefined;
  const names: string[] = [];
  for (const entry of await readdir(join(folder, inner), { withFileTypes: true })) {
    const name = `${inner}/${entry.name}`;
    if (entry.isDirectory() || !(own.includes(name) || (await isUnchanged(folder, name, manifest)))) return undefined;
    names.push(name);
  }
  return names;
};

/**
 * Lists the entries of a checkpoint's folder that Foretoken did not write.
 * @param own names of further files that are Foretoken's. A file in an inner folder is named "folder/name".
 */
export const foreignEntries = async (folder: string, own: readonly string[] = []): Promise<readonly string[]> => {
  const manifest = await readManifest(folder);
  const foreign: string[] = [];
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const { name } = entry;
    const known = entry.isDirectory()
      ? (await ownInside(folder, name, own, manifest)) !== undefined
      : checkpointNames.includes(name) || own.includes(name) || (await isUnchanged(folder, name, manifest));
    if (!known) foreign.push(name);
  }
  return foreign;
};

/** Whether a checkpoint's folder has only Foretoken's files. */
export const isOursAlone = async (folder: string): Promise<boolean> => (await foreignEntries(folder)).length === 0;

/**
 * Removes a checkpoint's folder. Files of other programs are moved to `heir` if `heir` has no file with the same name.
 * Otherwise, these files and the folder stay.
 * @param own names of further files that are Foretoken's.
 */
export const removeOwned = async (folder: string, heir?: string, own: readonly string[] = []): Promise<void> => {
  const foreign = await foreignEntries(folder, own);
  if (heir !== undefined) {
    const taken = await readdir(heir);
    for (const name of foreign) if (!taken.includes(name)) await rename(join(folder, name), join(heir, name));
  }
  // Remove the manifest last. If the process is killed before, the folder still has Foretoken's mark.
  const manifest = await readManifest(folder);
  const entries = (await readdir(folder, { withFileTypes: true })).filter(({ name }) => !foreign.includes(name));
  for (const entry of entries) {
    const { name } = entry;
    const isFolder = entry.isDirectory();
    if (name === manifestName && !isFolder) continue;
    for (const inside of isFolder ? ((await ownInside(folder, name, own, manifest)) ?? []) : [name]) {
      await unlink(join(folder, inside));
    }
    if (isFolder) await rmdir(join(folder, name));
  }
  const left = (await readdir(folder)).filter((name) => name !== manifestName);
  if (left.length > 0) return;
  if (entries.some(({ name }) => name === manifestName)) await unlink(join(folder, manifestName));
  await rmdir(folder);
};
