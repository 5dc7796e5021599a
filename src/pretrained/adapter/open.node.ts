/** Adapters on this disk: a folder that PEFT or this program wrote, or a GGUF file, and the model that it is for. */
import { stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { CheckpointError, ConfigError } from "../../core/errors/errors.ts";
import { show } from "../../core/text/show.ts";
import { placeOf } from "../../io/checkpoint.node.ts";
import { isFile } from "../../io/files.node.ts";
import { openCheckpoint } from "../../io/read-checkpoint.node.ts";
import { isHubName, isKept, parseName } from "../files/hub.node.ts";
import { openGgufAdapter, saysAdapter } from "../gguf/adapter/read.ts";
import { isGgufName, openGgufSource } from "../gguf/open.node.ts";
import { configName } from "../parse.ts";
import { type AdapterBase, adapterConfigName, adapterWeightsName, type PeftConfig, parsePeftConfig } from "./config.ts";
import { baseHashIn, type OpenedAdapter } from "./load.ts";
import { readAdapterValues } from "./read.ts";
import { adapterTextNames, parseAdapterText } from "./text.ts";

const isFolder = (path: string): Promise<boolean> =>
  stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );

/** Whether a folder holds an adapter and no whole model. */
export const isAdapterFolder = async (folder: string): Promise<boolean> => {
  const { path, old } = placeOf(folder);
  for (const place of [path, old]) {
    if (await isFile(join(place, configName))) return false;
    if (await isFile(join(place, adapterConfigName))) return true;
  }
  return false;
};

/** Whether a path is a GGUF file of an adapter, as far as its first keys tell. */
const isGgufAdapter = async (path: string): Promise<boolean> => {
  if (!isGgufName(path) || !(await isFile(path))) return false;
  const source = await openGgufSource(path);
  try {
    return await saysAdapter(source);
  } finally {
    await source.close();
  }
};

/** Whether a path holds an adapter and no whole model: a folder, or a GGUF file. */
export const isAdapterPlace = async (path: string): Promise<boolean> =>
  (await isAdapterFolder(path)) || (await isGgufAdapter(path));

/**
 * Whether a checkpoint that is to be loaded is an adapter itself.
 * @param where the called function, for errors.
 * @throws ConfigError for options that do not go with it.
 */
export const namesAdapter = async (
  checkpoint: string | object,
  options: { readonly adapter?: unknown; readonly adapters?: unknown; readonly base?: unknown },
  where = "loadPretrained",
): Promise<boolean> => {
  if (typeof checkpoint !== "string" || isHubName(checkpoint) || !(await isAdapterPlace(checkpoint))) {
    if (options.base === undefined) return false;
    throw new ConfigError({
      where: `${where}: base`,
      must: "must go with an adapter's folder, whose model it is",
      got: typeof checkpoint === "string" ? `${checkpoint}, which is none` : "a model's files",
    });
  }
  const name = options.adapter !== undefined ? "adapter" : options.adapters !== undefined ? "adapters" : undefined;
  if (name === undefined) return true;
  throw new ConfigError({
    where: `${where}: ${name}`,
    must: "must go with a whole model",
    got: `${checkpoint}, which is an adapter itself`,
    hint: "the adapter's model",
  });
};

/**
 * Opens an adapter's folder or its GGUF file; its weights are read later.
 * @throws CheckpointError naming the file and its fault.
 */
export const openAdapter = async (folder: string): Promise<OpenedAdapter> => {
  if (isGgufName(folder) && !(await isFolder(folder))) return openGgufAdapter(await openGgufSource(folder), folder);
  const { files, large, manifest } = await openCheckpoint(folder, {
    required: [adapterConfigName],
    optional: adapterTextNames,
    large: async () => [adapterWeightsName],
  });
  const [weights] = large;
  const config = files[adapterConfigName];
  if (weights === undefined || config === undefined) throw new Error("a required file was not opened");
  const { source } = weights;
  try {
    const peft = parsePeftConfig(config, join(folder, adapterConfigName));
    const text = parseAdapterText(files, folder);
    const baseHash = await baseHashIn(source, folder);
    const place = join(folder, adapterWeightsName);
    return {
      ...{ where: folder, peft, text, source, checked: manifest !== null, baseHash },
      read: (config, expected) => readAdapterValues(config, peft, source, place, expected),
    };
  } catch (error) {
    await source.close();
    throw error;
  }
};

/**
 * How an adapter names the model at `path`.
 * @param facts of its weights.
 */
export const adapterBase = (path: string | null, facts: Pick<AdapterBase, "fused" | "sha256"> = {}): AdapterBase => {
  if (path === null || !isHubName(path)) return { name: path, ...facts };
  const { repository, revision } = parseName(path);
  return { name: repository, revision, ...facts };
};

/** A model's name on the hub, in the form of its organisation and its name. */
const isOnHub = (name: string): boolean => /^[A-Za-z0-9_][\w.-]*\/[A-Za-z0-9_][\w.-]*$/u.test(name);

/**
 * The place of the model that an adapter is for: a path as its configuration has it, from its own folder or the working
 * directory; or a model of the hub that was fetched before.
 * @throws CheckpointError if it names none, or one that is not on this disk.
 */
export const basePath = async ({
  where,
  peft: { base, revision },
}: Pick<OpenedAdapter, "where"> & { readonly peft: Pick<PeftConfig, "base" | "revision"> }): Promise<string> => {
  const fail = (must: string, hint: string): never => {
    throw new CheckpointError({
      where: isGgufName(where) ? where : `${join(where, adapterConfigName)}: base_model_name_or_path`,
      must,
      got: show(base ?? undefined),
      hint,
    });
  };
  if (base === null || base === "") return fail("the adapter must name the model that it is for", "base MODEL");
  if (isHubName(base)) return base;
  for (const path of [resolve(where, base), base]) {
    if ((await isFolder(path)) || (isGgufName(path) && (await isFile(path)))) return path;
  }
  if (!isOnHub(base)) return fail("the model of the adapter must be on this disk", "base MODEL");
  const onHub = `hf:${base}${revision === null || !/^\w[\w.-]*$/u.test(revision) ? "" : `@${revision}`}`;
  if (await isKept(onHub)) return onHub;
  return fail("the model of the adapter must be on this disk", `base ${onHub}`);
};
