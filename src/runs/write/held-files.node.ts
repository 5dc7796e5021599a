/**
 * Keeps files open, so that they stay readable after another program deletes them. This module does nothing on Windows:
 * there, an open file cannot be deleted and its folder cannot be moved.
 */
import type { FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { openRegularFile } from "../../core/system/regular-file.node.ts";
import { bytesOfFile } from "../../io/files.node.ts";
import type { Binding, Manifest } from "../../io/manifest.ts";
import { readManifest } from "../../io/read-manifest.node.ts";

/** Open files of a folder. */
export interface HeldFiles {
  /** Contents of the files that exist, by name. */
  contents(): Readonly<Record<string, AsyncIterable<Uint8Array>>>;
  close(): Promise<void>;
}

/** Opens the files `names` in `folder`; missing files are skipped. */
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

/** An open checkpoint. From time to time, the run replaces the checkpoint. */
export interface HeldCheckpoint extends HeldFiles {
  /** Run and step from the manifest of the open files. Null if no files are open or if the files are incomplete. */
  run(): Promise<Binding | null>;
  /** Opens the files of the checkpoint that replaced the previous checkpoint. */
  renew(): Promise<void>;
}

/** Whether the open files have the lengths in the manifest. Another program may have shortened them. */
const areWhole = async (held: ReadonlyMap<string, FileHandle>, manifest: Manifest): Promise<boolean> => {
  for (const [name, { bytes }] of Object.entries(manifest.files)) {
    if ((await held.get(name)?.stat())?.size !== bytes) return false;
  }
  return true;
};

/** Opens the files of the checkpoint `folder` and keeps them open. */
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
