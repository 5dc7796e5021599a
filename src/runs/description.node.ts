/** Reads and writes a run's description in its folder. */
import { readdir, stat, utimes } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import type { RunConfig } from "../config/config.ts";
import { CheckpointError } from "../core/errors/errors.ts";
import { systemErrorCode } from "../core/errors/system-error.ts";
import { isRegularFile, readRegularFile, UnreadableFileError } from "../core/system/regular-file.node.ts";
import { quoteWord } from "../core/text/shell-word.ts";
import { replaceFile } from "../io/files.node.ts";
import { completeDescription } from "../io/first-form.node.ts";
import { holdsAllFiles } from "../io/read-checkpoint.node.ts";
import { parseJson } from "../pretrained/files/checkpoint-json.ts";
import { checkVersioned, descriptionText, type RunDescription } from "./description.ts";
import { findsFolder } from "./finds-folder.node.ts";
import { folderNames } from "./folder-names.ts";
import { descriptionSchema, keptNames } from "./run-schemas.ts";
import { isSame } from "./same-config.ts";

/** Maximum size of a description in bytes. A larger file is not a description. */
export const maxDescriptionBytes = 2 ** 20;

const ownFolder = "the run's folder, which train printed in its first lines";

/** Maximum number of a folder's entries that are checked. */
const mostEntries = 1000;

/** Names of the runs in `folder`, the most recent run first. */
const runsIn = async (folder: string): Promise<readonly string[]> => {
  const names = await readdir(folder).catch(() => []);
  const found = await Promise.all(
    names.slice(0, mostEntries).map(async (name) => {
      const { description, metrics } = folderNames;
      const [about, notes] = await Promise.all(
        [description, metrics].map((file) => stat(join(folder, name, file)).catch(() => undefined)),
      );
      return about?.isFile() === true ? [{ name, time: notes?.mtimeMs ?? about.mtimeMs }] : [];
    }),
  );
  return found
    .flat()
    .sort((a, b) => b.time - a.time)
    .map(({ name }) => name);
};

/** A hint for a folder without a description. */
const wayWithout = async (path: string): Promise<string> => {
  for (const name of [folderNames.checkpoint, folderNames.best]) {
    const saved = join(path, name);
    if (await holdsAllFiles(saved)) return `restoring the file, or a new run with initFrom ${quoteWord(saved)}`;
  }
  const above = dirname(path);
  if (await isRegularFile(join(resolve(above), folderNames.description))) return `resume ${quoteWord(above)}`;
  return (await holdsAllFiles(path)) ? "the run's folder itself, not its checkpoint" : ownFolder;
};

const readDescription = async (path: string, where: string): Promise<Uint8Array> => {
  try {
    return await readRegularFile(join(path, folderNames.description), { maxBytes: maxDescriptionBytes });
  } catch (cause) {
    if (systemErrorCode(cause) === "ENOENT") {
      const [run, ...others] = await runsIn(path);
      if (run !== undefined) {
        throw new CheckpointError({
          where: `resume ${path}`,
          must: "must name a run's folder",
          got: `a folder that holds ${others.length === 0 ? "a run" : "runs"}`,
          hint: `resume ${quoteWord(join(path, run))}${others.length > 0 ? " or another one" : ""}`,
        });
      }
      throw new CheckpointError({
        where: path,
        must: `a run's folder must have ${folderNames.description}`,
        got: "no such file",
        hint: await wayWithout(path),
      });
    }
    const isKind = cause instanceof UnreadableFileError;
    throw new CheckpointError({
      where,
      must: isKind ? cause.must : "the file must be readable",
      got: isKind ? cause.got : cause instanceof Error ? cause.message : String(cause),
      cause,
    });
  }
};

/** @throws CheckpointError if `path` is not a run's folder, or if its description is damaged. */
export const readRunDescription = async (path: string): Promise<RunDescription> => {
  if (!(await findsFolder(path))) {
    throw new CheckpointError({
      where: `resume ${path}`,
      must: "must name a run's folder",
      got: (await stat(path).catch(() => undefined)) === undefined ? "no such folder" : "a file",
      hint: ownFolder,
    });
  }
  const where = join(path, folderNames.description);
  const bytes = await readDescription(path, where);
  if (bytes.every((byte) => byte === 0)) {
    throw new CheckpointError({
      where,
      must: "the file must describe the run",
      got: "an empty file, left by a process that ended before the run began",
      hint: `a new run; it can use ${path} if nothing else is in it`,
    });
  }
  const described = checkVersioned(descriptionSchema, completeDescription(parseJson(bytes, where)), where);
  const { data } = described;
  if (data.kept !== true) return described;
  // Use the fixed file names, because a forged description could name any file.
  const names = keptNames(data.documents === true);
  const valData = data.valData === null ? null : join(path, names.valData);
  return { ...described, data: { ...data, data: join(path, names.data), valData } };
};

/** Replaces the description of a run that was extended. */
export const redescribe = async (root: string, described: RunDescription, config: RunConfig): Promise<void> => {
  if (isSame(config, described.config)) return;
  const path = join(root, folderNames.description);
  // The user may set `onNonfinite` for this process only. So the description keeps the run's own value.
  const { onNonfinite } = described.config.train;
  const train = { ...config.train, onNonfinite };
  const { atime, mtime } = await stat(path);
  await replaceFile(path, descriptionText({ ...described, config: { ...config, train } }));
  // Keep the file's time, because it is the time when the run was started.
  await utimes(path, atime, mtime).catch(() => undefined);
};
