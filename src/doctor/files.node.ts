/**
 * Checks the files of a run or a model: each file against the manifest, and the header of the weights against the
 * configuration.
 */
import { readdir, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { CheckpointError } from "../core/errors/errors.ts";
import { formatBytes } from "../core/text/format-bytes.ts";
import { formatPlural } from "../core/text/format-numbers.ts";
import { quotePath } from "../core/text/shell-word.ts";
import { hasCheckpoint } from "../io/checkpoint-place.node.ts";
import { manifestName } from "../io/manifest.ts";
import { checkpointNames } from "../io/owned-folder.node.ts";
import { openCheckpoint } from "../io/read-checkpoint.node.ts";
import { readManifest } from "../io/read-manifest.node.ts";
import { descriptionName, isPlaceName, isPlaceOfRun, isRunFolder } from "../io/run-places.node.ts";
import { unlessDamaged } from "../pretrained/adapter/base/find.node.ts";
import { keptGgufName } from "../pretrained/adapter/base/places.node.ts";
import { openAdapter } from "../pretrained/adapter/open.node.ts";
import { isAdapterFolder, isAdapterPlace } from "../pretrained/adapter/place.node.ts";
import { isHubName } from "../pretrained/files/hub-name.ts";
import { isGgufName } from "../pretrained/gguf/source.node.ts";
import { openPretrained } from "../pretrained/open.node.ts";
import { readRunDescription } from "../runs/description.node.ts";
import { folderNames } from "../runs/folder-names.ts";
import { baseVerdict } from "./base.node.ts";
import { type Check, failed, ok, skipped, type Verdict } from "./check.ts";

/**
 * Advice for damaged files. The advice depends on what the user named: a run, a folder, a file or a model on the hub.
 */
const advices = {
  ofRun: "restore the folder from a backup, or use train --resume with another checkpoint of the run",
  folder: "get a complete copy of the folder",
  file: "get a complete copy of the file",
  hub: "use another model or revision",
} as const;

/** Opens a model or an adapter without reading its weights. The header of each file must match the configuration. */
const checkHeaders = async (path: string): Promise<void> => {
  const isAdapter = !isHubName(path) && (await isAdapterPlace(path));
  const opened = isAdapter ? (await openAdapter(path)).source : (await openPretrained(path)).weights;
  await opened.close();
};

/** Reads every file in the manifest, and returns the total bytes of these files. */
const readListed = async (folder: string, names: readonly string[]): Promise<number> => {
  const { large } = await openCheckpoint(folder, { required: [], optional: [], large: async () => names });
  try {
    for (const { source } of large) await source.end();
    return large.reduce((sum, { source }) => sum + source.size, 0);
  } finally {
    await Promise.all(large.map(({ source }) => source.close()));
  }
};

/** Whether a name belongs to a file of a checkpoint. */
const isOfCheckpoint = (name: string): boolean =>
  name !== manifestName && (checkpointNames.includes(name) || name.endsWith(".safetensors"));

/** Path of the model or adapter in a folder with these entries. Undefined if the folder has no model and no adapter. */
const modelIn = async (folder: string, entries: readonly string[]): Promise<string | undefined> => {
  if (entries.includes("config.json") || (await isAdapterFolder(folder))) return folder;
  const isKeptGguf = isPlaceName(basename(folder)) && entries.includes(keptGgufName);
  return isKeptGguf ? join(folder, keptGgufName) : undefined;
};

/** Result for a folder without a model. The error of the loading code may suggest another path. */
const noModel = async (folder: string, entries: readonly string[]): Promise<Verdict> => {
  const [gguf, ...others] = entries.filter(isGgufName);
  if (gguf !== undefined) {
    const named = others.length > 0 ? "a GGUF file in this folder" : quotePath(join(folder, gguf));
    return failed(`${folder}: contains no model`, `name ${named}`);
  }
  const error: unknown = await checkHeaders(folder).catch((thrown: unknown) => thrown);
  const hint = error instanceof CheckpointError ? error.details.hint : undefined;
  return failed(`${folder}: contains no model`, hint ?? advices.folder);
};

/** Checks a directory with weights. */
const folderVerdict = async (folder: string, advice: string): Promise<Verdict> => {
  const manifest = await readManifest(folder);
  const names = Object.keys(manifest?.files ?? {});
  const bytes = await readListed(folder, names);
  const there = await readdir(folder);
  const unlisted = manifest === null ? undefined : there.find((name) => isOfCheckpoint(name) && !names.includes(name));
  if (unlisted !== undefined)
    return failed(
      `${join(folder, unlisted)}: ${manifestName} does not list it, so damage to this file would not be noticed`,
      advice,
    );
  const model = await modelIn(folder, there);
  // A rollback state has a manifest but is not a model.
  if (model === undefined && manifest === null) return noModel(folder, there);
  if (model !== undefined) await checkHeaders(model);
  if (manifest === null)
    return skipped(
      `there is no ${manifestName}, so damaged weights would not be noticed; the header of the weights is valid`,
    );
  return ok(`${formatPlural(names.length, "file")}, ${formatBytes(bytes)}, unchanged since they were saved (SHA-256)`);
};

const isFolder = async (path: string): Promise<boolean> =>
  (await stat(path).catch(() => undefined))?.isDirectory() === true;

const filesVerdict = async (path: string, advice: string): Promise<Verdict> => {
  if (await isFolder(path)) return folderVerdict(path, advice);
  // The path is a GGUF file, a name on the hub, or wrong. A wrong path throws when it is opened.
  await checkHeaders(path);
  return skipped("there are no checksums, so damaged weights would not be noticed; the header of the weights is valid");
};

/** The folders in a run's folder from which a model can be loaded. */
const loadedNames: readonly string[] = [folderNames.best, folderNames.checkpoint];

const isLoadedOfRun = (place: string): boolean => loadedNames.includes(basename(place));

const runVerdict = async (folder: string, places: readonly string[]): Promise<Verdict> => {
  if (!(await isRunFolder(folder))) {
    const named = places.filter(isLoadedOfRun).map(quotePath).join(" or ");
    return failed(
      `${folder}: contains no model; its folders belong to a run without ${descriptionName}`,
      `restore ${descriptionName} from a backup, or name a folder with weights: ${named}`,
    );
  }
  const { config } = await readRunDescription(folder);
  return ok(
    `${descriptionName}: ${formatPlural(config.train.steps, "step")}, ${formatPlural(config.model.nLayer, "layer")}`,
  );
};

/**
 * Folders with weights in a run's folder, sorted. A model is loaded from the first existing folder in `loadedNames`.
 */
const placesOf = async (run: string): Promise<readonly string[]> => {
  const entries = await readdir(run, { withFileTypes: true });
  return entries
    .filter((entry) => entry.isDirectory() && isPlaceName(entry.name))
    .map(({ name }) => join(run, name))
    .sort();
};

/** Whether the folder is a run's folder without a description, and not a model. */
const hasLostDescription = async (folder: string): Promise<boolean> => {
  // If a folder cannot be read, the check of its files will fail.
  const places = (await isFolder(folder)) ? await placesOf(folder).catch((): readonly string[] => []) : [];
  if (!places.some(isLoadedOfRun)) return false;
  const entries = await readdir(folder);
  return !entries.includes(manifestName) && (await modelIn(folder, entries)) === undefined;
};

const adviceFor = async (path: string): Promise<string> => {
  if (isHubName(path)) return advices.hub;
  if (!(await isFolder(path))) return advices.file;
  return (await isPlaceOfRun(path)) ? advices.ofRun : advices.folder;
};

const check = (name: string, advice: string, run: () => Promise<Verdict>): Check => ({
  ...{ name, backend: null, advice, run },
});

/** If files cannot be read, the check of the files has already failed. */
const baseChecks = async (places: readonly string[]): Promise<readonly Check[]> => {
  // If files cannot be read, the check of files has already failed.
  const are = await Promise.all(places.map((place) => isAdapterPlace(place).catch(unlessDamaged)));
  const adapters = places.filter((_, i) => are[i]);
  return adapters.length === 0 ? [] : [check("base", advices.folder, () => baseVerdict(adapters))];
};

/**
 * Checks of the path that the user named.
 * @throws CheckpointError for a path that does not exist, or a run's folder without weights.
 */
export const fileChecks = async (path: string): Promise<readonly Check[]> => {
  // A missing path is a mistake of the user, not damage, so throw before the first check.
  if (!isHubName(path) && (await stat(path).catch(() => undefined)) === undefined) await checkHeaders(path);
  const isRun = await isRunFolder(path);
  if (!isRun && !(await hasLostDescription(path))) {
    const advice = await adviceFor(path);
    return [
      check("files", advice, () => filesVerdict(path, advice)),
      ...(isHubName(path) ? [] : await baseChecks([path])),
    ];
  }
  const places = await placesOf(path);
  if (places.length === 0 && !(await hasCheckpoint(join(path, "best")))) {
    const must = "the run must have saved weights";
    throw new CheckpointError({ where: path, must, got: "none", hint: "a run that has saved a checkpoint" });
  }
  return [
    check("run", advices.ofRun, () => runVerdict(path, places)),
    ...places.map((place) =>
      check(`files: ${basename(place)}`, advices.ofRun, () => filesVerdict(place, advices.ofRun)),
    ),
    ...(await baseChecks(places)),
  ];
};
