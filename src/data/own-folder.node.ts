/** Recognises folders that this program wrote. The files in these folders are never training text. */
import { join } from "node:path";
import { isRecord } from "../core/checks/is-record.ts";
import { jsonLimits, parseJson } from "../core/checks/json.ts";
import { readRegularFile } from "../core/system/regular-file.node.ts";

/** Kinds of folders that this program writes. */
export type OwnFolder = "run" | "checkpoint";

/** The value of a JSON file. Undefined if the file cannot be read. */
const readJson = async (path: string): Promise<unknown> => {
  try {
    const bytes = await readRegularFile(path, jsonLimits.config);
    return parseJson(bytes, jsonLimits.config, ({ must, got }) => new Error(`${must}; got ${got}`));
  } catch {
    return undefined;
  }
};

const hasKeys = (value: unknown, keys: readonly string[]): boolean =>
  isRecord(value) && keys.every((key) => Object.hasOwn(value, key));

/**
 * Whether `folder` is a run or a checkpoint. Undefined for any other folder. A run has a `run.json` with this program's
 * keys, or a `run.json` next to `metrics.jsonl` or `checkpoint/`. A checkpoint has a `model.safetensors` next to
 * `manifest.json`, or next to a `config.json` with this program's section.
 * @param files names of the regular files in the folder.
 * @param folders names of the folders in it.
 */
export const ownFolder = async (
  folder: string,
  files: ReadonlySet<string>,
  folders: ReadonlySet<string>,
): Promise<OwnFolder | undefined> => {
  if (files.has("run.json")) {
    if (files.has("metrics.jsonl") || folders.has("checkpoint")) return "run";
    if (hasKeys(await readJson(join(folder, "run.json")), ["formatVersion", "config", "data"])) return "run";
  }
  if (files.has("model.safetensors")) {
    if (files.has("manifest.json")) return "checkpoint";
    if (files.has("config.json") && hasKeys(await readJson(join(folder, "config.json")), ["foretoken"])) {
      return "checkpoint";
    }
  }
  return undefined;
};
