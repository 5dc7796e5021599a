/**
 * Opens adapters on this disk and finds their base models. An adapter is a folder that PEFT or Foretoken wrote, or a
 * GGUF file.
 */
import { stat } from "node:fs/promises";
import { join, resolve } from "node:path";
import { CheckpointError } from "../../core/errors/errors.ts";
import { isFile } from "../../core/system/regular-file.node.ts";
import { show } from "../../core/text/show.ts";
import { openCheckpoint } from "../../io/read-checkpoint.node.ts";
import { isKept } from "../files/hub.node.ts";
import { isHubName, parseName } from "../files/hub-name.ts";
import { openGgufAdapter } from "../gguf/adapter/read.ts";
import { isGgufName, openGgufSource } from "../gguf/source.node.ts";
import { type AdapterBase, type PeftConfig, parsePeftConfig } from "./config.ts";
import { baseHashIn } from "./load.ts";
import { adapterConfigName, adapterWeightsName } from "./names.ts";
import type { OpenedAdapter } from "./opened.ts";
import { isWholeModel } from "./place.node.ts";
import { readAdapterValues } from "./read.ts";
import { adapterTextNames, parseAdapterText } from "./text.ts";

const isFolder = (path: string): Promise<boolean> =>
  stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );

/**
 * Opens an adapter's folder or GGUF file. The weights are read later.
 * @throws CheckpointError naming the file and the problem.
 */
export const openAdapter = async (folder: string): Promise<OpenedAdapter> => {
  if (isGgufName(folder) && !(await isFolder(folder))) return openGgufAdapter(await openGgufSource(folder), folder);
  if (await isWholeModel(folder)) {
    throw new CheckpointError({
      where: folder,
      must: "the path must name an adapter",
      got: "a whole model",
      hint: "the folder or GGUF file of an adapter",
    });
  }
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
 * Returns the fields in which an adapter names the base model at `path`.
 * @param facts facts about the weights of the base model.
 */
export const adapterBase = (path: string | null, facts: Pick<AdapterBase, "fused" | "sha256"> = {}): AdapterBase => {
  if (path === null || !isHubName(path)) return { name: path, ...facts };
  const { repository, revision } = parseName(path);
  return { name: repository, revision, ...facts };
};

/** Whether `name` has the form `organization/name`, like a model's name on the hub. */
const isOnHub = (name: string): boolean => /^[A-Za-z0-9_][\w.-]*\/[A-Za-z0-9_][\w.-]*$/u.test(name);

/**
 * Place of the base model that an adapter names. A relative path is searched first in the adapter's folder, then in the
 * working directory. A model of the hub must have been downloaded before.
 * @throws CheckpointError if the adapter names no base model, or a model that is not on this disk.
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
  if (base === null || base === "") return fail("the adapter must name its base model", "base MODEL");
  if (isHubName(base)) return base;
  for (const path of [resolve(where, base), base]) {
    if ((await isFolder(path)) || (isGgufName(path) && (await isFile(path)))) return path;
  }
  if (!isOnHub(base)) return fail("the adapter's base model must be on this disk", "base MODEL");
  const onHub = `hf:${base}${revision === null || !/^\w[\w.-]*$/u.test(revision) ? "" : `@${revision}`}`;
  if (await isKept(onHub)) return onHub;
  return fail("the adapter's base model must be on this disk", `base ${onHub}`);
};
