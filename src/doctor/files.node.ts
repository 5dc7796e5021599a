/** The files of a run or a model: each against the manifest, and the weights against the configuration. */
import { readdir, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { CheckpointError } from "../core/errors/errors.ts";
import { formatBytes } from "../core/text/format-bytes.ts";
import { formatPlural } from "../core/text/format-numbers.ts";
import { manifestName } from "../io/manifest.ts";
import { checkpointNames, readManifest } from "../io/owned-folder.node.ts";
import { hasCheckpoint, openCheckpoint } from "../io/read-checkpoint.node.ts";
import { descriptionName, isPlaceOfRun, isRunFolder } from "../io/run-places.node.ts";
import { isAdapterFolder } from "../pretrained/adapter/open.node.ts";
import { isHubName } from "../pretrained/files/hub.node.ts";
import { openPretrained } from "../pretrained/open.node.ts";
import { readRunDescription } from "../runs/description.node.ts";
import { type Check, failed, ok, skipped, type Verdict } from "./check.ts";

const anotherCopy = "take the folder from a backup, or train --resume from another checkpoint of the run";

/** Opens the model without reading its weights: the header of each file must fit the configuration. */
const checkHeaders = async (path: string): Promise<void> => {
  const opened = await openPretrained(path);
  await opened.weights.close();
};

/** Reads every file that the manifest lists; returns their bytes. */
const readListed = async (folder: string, names: readonly string[]): Promise<number> => {
  const { large } = await openCheckpoint(folder, { required: [], optional: [], large: async () => names });
  try {
    for (const { source } of large) await source.end();
    return large.reduce((sum, { source }) => sum + source.size, 0);
  } finally {
    await Promise.all(large.map(({ source }) => source.close()));
  }
};

/** A file of a checkpoint, by its name. */
const isOfCheckpoint = (name: string): boolean =>
  name !== manifestName && (checkpointNames.includes(name) || name.endsWith(".safetensors"));

/** A directory with weights. */
const folderVerdict = async (folder: string): Promise<Verdict> => {
  const manifest = await readManifest(folder);
  const names = Object.keys(manifest?.files ?? {});
  const bytes = await readListed(folder, names);
  const isAdapter = await isAdapterFolder(folder);
  const there = await readdir(folder).catch((): string[] => []);
  const unlisted = manifest === null ? undefined : there.find((name) => isOfCheckpoint(name) && !names.includes(name));
  if (unlisted !== undefined)
    return failed(
      `${join(folder, unlisted)}: ${manifestName} does not list it, so damage would not be noticed`,
      anotherCopy,
    );
  if (!isAdapter && there.includes("config.json")) await checkHeaders(folder);
  if (manifest === null)
    return skipped(`no ${manifestName}: damage to the weights would not be noticed; their header is right`);
  return ok(`${formatPlural(names.length, "file")}, ${formatBytes(bytes)}, as they were saved (SHA-256)`);
};

const filesVerdict = async (path: string): Promise<Verdict> => {
  const found = await stat(path).catch(() => undefined);
  if (found?.isDirectory() === true) return folderVerdict(path);
  // A GGUF file or a name on the hub, or nothing: whoever opens it says so.
  await checkHeaders(path);
  return skipped("no checksums of ours: damage to the weights would not be noticed; their header is right");
};

const runVerdict = async (folder: string): Promise<Verdict> => {
  const { config } = await readRunDescription(folder);
  return ok(
    `${descriptionName}: ${formatPlural(config.train.steps, "step")}, ${formatPlural(config.model.nLayer, "layer")}`,
  );
};

/** The folders with weights in a run's folder. */
const placesOf = async (run: string): Promise<readonly string[]> => {
  const entries = await readdir(run, { withFileTypes: true });
  const folders = entries.filter((entry) => entry.isDirectory()).map(({ name }) => join(run, name));
  const isPlace = await Promise.all(folders.map((folder) => isPlaceOfRun(folder)));
  return folders.filter((_, i) => isPlace[i]).sort();
};

/**
 * The checks of what the user named.
 * @throws CheckpointError for a path that names nothing, or a run's folder without weights
 */
export const fileChecks = async (path: string): Promise<readonly Check[]> => {
  const check = (name: string, run: () => Promise<Verdict>): Check => ({
    ...{ name, backend: null, advice: anotherCopy, run },
  });
  // The user's mistake, and not a fault of files: nothing is checked.
  if (!isHubName(path) && (await stat(path).catch(() => undefined)) === undefined) await checkHeaders(path);
  if (!(await isRunFolder(path))) return [check("files", () => filesVerdict(path))];
  const places = await placesOf(path);
  if (places.length === 0 && !(await hasCheckpoint(join(path, "best")))) {
    const must = "the run must have weights";
    throw new CheckpointError({ where: path, must, got: "none", hint: "a run that has saved a checkpoint" });
  }
  return [
    check("run", () => runVerdict(path)),
    ...places.map((place) => check(`files: ${basename(place)}`, () => filesVerdict(place))),
  ];
};
