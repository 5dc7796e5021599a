/**
 * Files that can be read after somebody has deleted them, since they are open. Not on Windows, where nobody can delete an
 * open file, nor move the folder that it is in.
 */
import type { FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { openRegularFile } from "../../../core/regular-file.node.ts";
import { bytesOfFile } from "../../../io/files.node.ts";
import type { Binding } from "../../../io/manifest.ts";
import { readManifest } from "../../../io/owned-folder.node.ts";

/** Open files of a folder. */
export interface HeldFiles {
  /** The contents of those that were there, by name. */
  contents(): Readonly<Record<string, AsyncIterable<Uint8Array>>>;
  close(): Promise<void>;
}

/** Opens those of the files `names` that are in `folder`. */
export const holdFiles = async (folder: string, names: readonly string[]): Promise<HeldFiles> => {
  const held = new Map<string, FileHandle>();
  for (const name of process.platform === "win32" ? [] : names) {
    const file = await openRegularFile(join(folder, name)).catch(() => undefined);
    if (file !== undefined) held.set(name, file);
  }
  return {
    contents: () => Object.fromEntries([...held].map(([name, file]) => [name, bytesOfFile(file)])),
    async close() {
      for (const file of held.values()) await file.close();
      held.clear();
    },
  };
};

/** Open files of a checkpoint. */
export interface HeldCheckpoint extends HeldFiles {
  /** What its manifest says; null: there is none, or it is not whole. */
  readonly run: Binding | null;
}

/** Opens a checkpoint's files, all of them or none. */
export const holdCheckpoint = async (folder: string): Promise<HeldCheckpoint> => {
  const manifest = await readManifest(folder);
  const names = Object.keys(manifest?.files ?? {});
  const files = await holdFiles(folder, names);
  if (names.length > 0 && Object.keys(files.contents()).length === names.length) {
    return { ...files, run: manifest?.run ?? null };
  }
  await files.close();
  return { ...files, run: null };
};
