/** The files of a run or a model: each against the manifest, and the weights against the configuration. */
import { readdir, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { CheckpointError } from "../core/errors/errors.ts";
import { formatBytes } from "../core/text/format-bytes.ts";
import { formatPlural } from "../core/text/format-numbers.ts";
import { quotePath } from "../core/text/shell-word.ts";
import { manifestName } from "../io/manifest.ts";
import { checkpointNames, readManifest } from "../io/owned-folder.node.ts";
import { hasCheckpoint, openCheckpoint } from "../io/read-checkpoint.node.ts";
import { descriptionName, isPlaceName, isPlaceOfRun, isRunFolder } from "../io/run-places.node.ts";
import { unlessDamaged } from "../pretrained/adapter/base/find.node.ts";
import { keptGgufName } from "../pretrained/adapter/base/places.node.ts";
import { isAdapterFolder, isAdapterPlace, openAdapter } from "../pretrained/adapter/open.node.ts";
import { isHubName } from "../pretrained/files/hub.node.ts";
import { isGgufName } from "../pretrained/gguf/open.node.ts";
import { openPretrained } from "../pretrained/open.node.ts";
import { readRunDescription } from "../runs/description.node.ts";
import { folderNames } from "../runs/folder-names.ts";
import { baseVerdict } from "./base.node.ts";
import { type Check, failed, ok, skipped, type Verdict } from "./check.ts";

/** What to do about damage, by what was named. */
const advices = {
  ofRun: "take the folder from a backup, or train --resume from another checkpoint of the run",
  folder: "a complete copy of the folder",
  file: "a complete copy of the file",
  hub: "another model or revision",
} as const;

/** Opens a model or an adapter without reading its weights: the header of each file must fit the configuration. */
const checkHeaders = async (path: string): Promise<void> => {
  const isAdapter = !isHubName(path) && (await isAdapterPlace(path));
  const opened = isAdapter ? (await openAdapter(path)).source : (await openPretrained(path)).weights;
  await opened.close();
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

/** The place of the model or the adapter in a folder with these entries; undefined: there is none. */
const modelIn = async (folder: string, entries: readonly string[]): Promise<string | undefined> => {
  if (entries.includes("config.json") || (await isAdapterFolder(folder))) return folder;
  const isKeptGguf = isPlaceName(basename(folder)) && entries.includes(keptGgufName);
  return isKeptGguf ? join(folder, keptGgufName) : undefined;
};

/** A folder without a model; loading knows what else may be meant. */
const noModel = async (folder: string, entries: readonly string[]): Promise<Verdict> => {
  const [gguf, ...others] = entries.filter(isGgufName);
  if (gguf !== undefined) {
    const named = others.length > 0 ? "one of the GGUF files in it" : quotePath(join(folder, gguf));
    return failed(`${folder}: no model in it`, named);
  }
  const error: unknown = await checkHeaders(folder).catch((thrown: unknown) => thrown);
  const hint = error instanceof CheckpointError ? error.details.hint : undefined;
  return failed(`${folder}: no model in it`, hint ?? advices.folder);
};

/** A directory with weights. */
const folderVerdict = async (folder: string, advice: string): Promise<Verdict> => {
  const manifest = await readManifest(folder);
  const names = Object.keys(manifest?.files ?? {});
  const bytes = await readListed(folder, names);
  const there = await readdir(folder);
  const unlisted = manifest === null ? undefined : there.find((name) => isOfCheckpoint(name) && !names.includes(name));
  if (unlisted !== undefined)
    return failed(
      `${join(folder, unlisted)}: ${manifestName} does not list it, so damage would not be noticed`,
      advice,
    );
  const model = await modelIn(folder, there);
  // A state to roll back to has a manifest, and is no model.
  if (model === undefined && manifest === null) return noModel(folder, there);
  if (model !== undefined) await checkHeaders(model);
  if (manifest === null)
    return skipped(`no ${manifestName}: damage to the weights would not be noticed; their header is right`);
  return ok(`${formatPlural(names.length, "file")}, ${formatBytes(bytes)}, as they were saved (SHA-256)`);
};

const isFolder = async (path: string): Promise<boolean> =>
  (await stat(path).catch(() => undefined))?.isDirectory() === true;

const filesVerdict = async (path: string, advice: string): Promise<Verdict> => {
  if (await isFolder(path)) return folderVerdict(path, advice);
  // A GGUF file or a name on the hub, or nothing: whoever opens it says so.
  await checkHeaders(path);
  return skipped("no checksums of ours: damage to the weights would not be noticed; their header is right");
};

/** The folders that a run's folder stands for. */
const loadedNames: readonly string[] = [folderNames.best, folderNames.checkpoint];

const isLoadedOfRun = (place: string): boolean => loadedNames.includes(basename(place));

const runVerdict = async (folder: string, places: readonly string[]): Promise<Verdict> => {
  if (!(await isRunFolder(folder))) {
    const named = places.filter(isLoadedOfRun).map(quotePath).join(" or ");
    return failed(
      `${folder}: no model in it, only in the folders of a run whose ${descriptionName} is gone`,
      `restore ${descriptionName} from a backup, or name a folder with weights: ${named}`,
    );
  }
  const { config } = await readRunDescription(folder);
  return ok(
    `${descriptionName}: ${formatPlural(config.train.steps, "step")}, ${formatPlural(config.model.nLayer, "layer")}`,
  );
};

/** The folders with weights in a run's folder; of two, loading takes the first. */
const placesOf = async (run: string): Promise<readonly string[]> => {
  const entries = await readdir(run, { withFileTypes: true });
  return entries
    .filter((entry) => entry.isDirectory() && isPlaceName(entry.name))
    .map(({ name }) => join(run, name))
    .sort();
};

/** Whether a folder is a run's whose description is gone, and no model itself. */
const hasLostDescription = async (folder: string): Promise<boolean> => {
  // One that cannot be listed fails the check of its files.
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

/** The check of the model that adapters in these places are for; none where there is no adapter. */
const baseChecks = async (places: readonly string[]): Promise<readonly Check[]> => {
  // A file that cannot be read has failed the check of files.
  const are = await Promise.all(places.map((place) => isAdapterPlace(place).catch(unlessDamaged)));
  const adapters = places.filter((_, i) => are[i]);
  return adapters.length === 0 ? [] : [check("base", advices.folder, () => baseVerdict(adapters))];
};

/**
 * The checks of what the user named.
 * @throws CheckpointError for a path that names nothing, or a run's folder without weights
 */
export const fileChecks = async (path: string): Promise<readonly Check[]> => {
  // The user's mistake, and not a fault of files: nothing is checked.
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
    const must = "the run must have weights";
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
