/**
 * Finds out whether a path names an adapter or a whole model. It is separate from what reads adapters, because most
 * models are whole models.
 */
import { join } from "node:path";
import { ConfigError } from "../../core/errors/errors.ts";
import { isFile } from "../../core/system/regular-file.node.ts";
import { placeOf } from "../../io/checkpoint-place.node.ts";
import { isHubName } from "../files/hub-name.ts";
import { configName } from "../files/names.ts";
import { isGgufName, openGgufSource } from "../gguf/source.node.ts";
import { adapterConfigName } from "./names.ts";

/** Whether a folder contains an adapter but not a whole model. */
export const isAdapterFolder = async (folder: string): Promise<boolean> => {
  const { path, old } = placeOf(folder);
  for (const place of [path, old]) {
    if (await isFile(join(place, configName))) return false;
    if (await isFile(join(place, adapterConfigName))) return true;
  }
  return false;
};

/** Whether a folder contains a whole model but not an adapter. */
export const isWholeModel = async (folder: string): Promise<boolean> => {
  const { path } = placeOf(folder);
  return (await isFile(join(path, configName))) && !(await isFile(join(path, adapterConfigName)));
};

/** Whether `path` is a GGUF file of an adapter. The first keys of the file tell. */
const isGgufAdapter = async (path: string): Promise<boolean> => {
  if (!isGgufName(path) || !(await isFile(path))) return false;
  const source = await openGgufSource(path);
  try {
    const { saysAdapter } = await import("../gguf/adapter/read.ts");
    return await saysAdapter(source);
  } finally {
    await source.close();
  }
};

/** Whether `path` is an adapter instead of a whole model. An adapter is a folder or a GGUF file. */
export const isAdapterPlace = async (path: string): Promise<boolean> =>
  (await isAdapterFolder(path)) || (await isGgufAdapter(path));

/**
 * Whether the checkpoint to load is itself an adapter.
 * @param where the called function, for errors.
 * @throws ConfigError for options that cannot be used with an adapter or with a whole model.
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
      must: "must be used only to load an adapter, because base is the adapter's base model",
      got: typeof checkpoint === "string" ? `${checkpoint}, which is not an adapter` : "a model's files",
    });
  }
  const name = options.adapter !== undefined ? "adapter" : options.adapters !== undefined ? "adapters" : undefined;
  if (name === undefined) return true;
  throw new ConfigError({
    where: `${where}: ${name}`,
    must: "must be used only to load a whole model",
    got: `${checkpoint}, which is an adapter itself`,
    hint: "the adapter's base model",
  });
};
