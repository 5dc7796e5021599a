/**
 * Files that can be read after somebody has deleted them, since they are open. Not on Windows, where nobody can delete an
 * open file, nor move the folder that it is in.
 */
import type { FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { openRegularFile } from "../../core/system/regular-file.node.ts";
import { bytesOfFile } from "../../io/files.node.ts";
import type { Binding, Manifest } from "../../io/manifest.ts";
import { readManifest } from "../../io/owned-folder.node.ts";

/** Open files of a folder. */
export interface HeldFiles {
  /** The contents of those that were there, by name. */
  contents(): Readonly<Record<string, AsyncIterable<Uint8Array>>>;
  close(): Promise<void>;
}

/** Opens those of the files `names` that are in `folder`. */
const openFiles = async (folder: string, names: readonly string[]): Promise<ReadonlyMap<string, FileHandle>> => {
  const held = new Map<string, FileHandle>();
  for (const name of process.platform === "win32" ? [] : names) {
    const file = await openRegularFile(join(folder, name)).catch(() => undefined);
    if (file !== undefined) held.set(name, file);
  }
  return held;
};

const heldFiles = (held: ReadonlyMap<string, FileHandle>): HeldFiles => ({
  contents: () => Object.fromEntries([...held].map(([name, file]) => [name, bytesOfFile(file)])),
  async close() {
    for (const file of held.values()) await file.close();
  },
});

export const holdFiles = async (folder: string, names: readonly string[]): Promise<HeldFiles> =>
  heldFiles(await openFiles(folder, names));

/** A checkpoint that is held open. It is replaced now and then. */
export interface HeldCheckpoint extends HeldFiles {
  /** What the manifest of the open files says; null: there are none, or they are not whole. */
  run(): Promise<Binding | null>;
  /** Opens the files of the checkpoint that has taken the place of the one before. */
  renew(): Promise<void>;
}

/** Whether the open files have the lengths that the manifest says: somebody may have cut them short. */
const areWhole = async (held: ReadonlyMap<string, FileHandle>, manifest: Manifest): Promise<boolean> => {
  for (const [name, { bytes }] of Object.entries(manifest.files)) {
    if ((await held.get(name)?.stat())?.size !== bytes) return false;
  }
  return true;
};

/** Holds the files of the checkpoint `folder` open. */
export const holdCheckpoint = async (folder: string): Promise<HeldCheckpoint> => {
  const open = async () => {
    const manifest = await readManifest(folder);
    return { manifest, held: await openFiles(folder, Object.keys(manifest?.files ?? {})) };
  };
  let { manifest, held } = await open();
  return {
    contents: () => heldFiles(held).contents(),
    close: () => heldFiles(held).close(),
    run: async () => (manifest !== null && (await areWhole(held, manifest)) ? manifest.run : null),
    async renew() {
      await heldFiles(held).close();
      ({ manifest, held } = await open());
    },
  };
};
