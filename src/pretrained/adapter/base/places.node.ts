/**
 * Finds places that may have the weights of an adapter's base model, in addition to the place that the adapter names.
 */
import { readdir } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { isFile } from "../../../core/system/regular-file.node.ts";
import { readManifest } from "../../../io/read-manifest.node.ts";
import { isRunFolder, keptBaseName } from "../../../io/run-places.node.ts";
import { isHubName } from "../../files/hub-name.ts";
import { weightsFileName } from "../../files/names.ts";

/** File name of a kept base model that is a single GGUF file. */
export const keptGgufName = "model.gguf";

/** Maximum number of entries of a folder that are examined. */
const mostEntries = 1000;

/** Place of the base model that a run keeps. The place may not exist. */
export const keptBaseOf = async (run: string): Promise<string> => {
  const folder = join(run, keptBaseName);
  const file = join(folder, keptGgufName);
  return (await isFile(file)) ? file : folder;
};

/**
 * Other checkpoints of the run that `model` belongs to. The function returns only checkpoints that have weights with
 * this hash, according to their manifests.
 */
export const otherCheckpoints = async (model: string, hash: string): Promise<readonly string[]> => {
  const path = resolve(model);
  const run = dirname(path);
  if (isHubName(model) || !(await isRunFolder(run))) return [];
  const entries = await readdir(run, { withFileTypes: true }).catch(() => []);
  const folders = entries
    .slice(0, mostEntries)
    .filter((entry) => entry.isDirectory() && join(run, entry.name) !== path);
  const found: string[] = [];
  for (const { name } of folders) {
    const files = (await readManifest(join(run, name)).catch(() => null))?.files ?? {};
    if (files[weightsFileName]?.sha256 === hash) found.push(join(run, name));
  }
  return found;
};
