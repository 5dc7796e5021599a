/** Removes the files that a run wrote before it failed to start. */
import { readdir, unlink } from "node:fs/promises";
import { join } from "node:path";
import { readRegularFile } from "../../core/system/regular-file.node.ts";
import { occupantOf, removeOwned } from "../../io/owned-folder.node.ts";
import { keptBaseName } from "../../io/run-places.node.ts";
import { temporaryOf } from "../../io/temporary-names.node.ts";
import { folderNames } from "../folder-names.ts";
import { readmeMark } from "../write/run-readme.ts";

/**
 * Maximum size in bytes of a README.md or an event log from a run that has not started. A larger file belongs to
 * somebody else.
 */
const maxBytes = 2 ** 20;

const isText = (path: string, isOurs: (text: string) => boolean): Promise<boolean> =>
  readRegularFile(path, { maxBytes }).then(
    (bytes) => isOurs(new TextDecoder().decode(bytes)),
    () => false,
  );

/**
 * Whether the run itself made the entry `name`. Another program may have created a file with this name in the meantime.
 */
const isOfRun = async (folder: string, name: string, written: readonly string[]): Promise<boolean> => {
  const path = join(folder, name);
  const { metrics, readme } = folderNames;
  if (written.includes(name)) return true;
  if (name === readme) return isText(path, (text) => text.includes(readmeMark));
  // This file contains the first event, or only a part of the event if the disk was full.
  const begin = '{"v":';
  return name === metrics && isText(path, (text) => text.slice(0, begin.length) === begin.slice(0, text.length));
};

/**
 * Removes the files of a run that has not started. Other files stay.
 * @param folder folder of the run. The folder was empty when the run took it.
 * @param written names of files that the run wrote there.
 */
export const removeBegun = async (folder: string, written: readonly string[]): Promise<void> => {
  const { checkpoint, best, averaged, rollback, ...files } = folderNames;
  const folders: readonly string[] = [checkpoint, best, averaged, rollback, keptBaseName];
  const names: readonly string[] = Object.values(files);
  for (const entry of await readdir(folder)) {
    const path = join(folder, entry);
    const begun = temporaryOf(entry);
    const isOurs = begun !== undefined && names.includes(begun);
    if (isOurs || (await isOfRun(folder, entry, written))) await unlink(path).catch(() => undefined);
    const isCheckpoint =
      begun === undefined ? folders.includes(entry) && (await occupantOf(path)) === "ours" : folders.includes(begun);
    if (isCheckpoint) await removeOwned(path).catch(() => undefined);
  }
};
