/** Loads adapters from their files into a model's backend. */
import { type ByteSource, memorySource } from "../../io/byte-source.ts";
import { manifestName } from "../../io/manifest.ts";
import { checkManifest } from "../../io/manifest-in-memory.ts";
import { openMetadata } from "../../io/safetensors.ts";
import type { ModelConfig } from "../../models/config.ts";
import { adaptedModel } from "../../models/lora/model.ts";
import type { Model } from "../../models/model.ts";
import { noteBaseHash } from "./base/noted-hash.ts";
import { baseHashKey, parsePeftConfig } from "./config.ts";
import { adapterConfigName, adapterWeightsName } from "./names.ts";
import { type AdapterFiles, closeAdapters, type OpenedAdapter, type OpenedAdapters } from "./opened.ts";
import { type AdapterValues, readAdapterValues } from "./read.ts";
import { adapterTextNames, parseAdapterText } from "./text.ts";

/**
 * Hash of the base weights, from the metadata of an adapter's weights file. Null if the file has no hash, for example a
 * file that PEFT wrote.
 */
export const baseHashIn = async (source: ByteSource, where: string): Promise<string | null> =>
  (await openMetadata(source, `${where}/${adapterWeightsName}`))[baseHashKey] ?? null;

/**
 * Opens an adapter from files in memory. If the files include a manifest, the other files are compared with it.
 * @param where the adapter's name in errors.
 * @throws CheckpointError with the file and the problem.
 */
export const openAdapterFiles = async (files: AdapterFiles, where: string): Promise<OpenedAdapter> => {
  const optional = adapterTextNames.filter((name) => files[name] !== undefined);
  await checkManifest(files, [adapterConfigName, adapterWeightsName, ...optional], where);
  const peft = parsePeftConfig(files[adapterConfigName], `${where}/${adapterConfigName}`);
  const source = memorySource(files[adapterWeightsName]);
  return {
    ...{ where, peft, text: parseAdapterText(files, where), source, checked: files[manifestName] !== undefined },
    read: (config, expected) => readAdapterValues(config, peft, source, `${where}/${adapterWeightsName}`, expected),
    baseHash: await baseHashIn(source, where),
  };
};

/** An adapter's values, and the hash of its base weights. */
export interface ReadAdapter extends AdapterValues, Pick<OpenedAdapter, "baseHash"> {}

/**
 * Reads the matrices of adapters for a model, and closes the adapters' files.
 * @throws CheckpointError for a damaged adapter or an adapter of another model.
 */
export const readAdapters = async (
  config: ModelConfig,
  opened: OpenedAdapters,
): Promise<ReadonlyMap<string, ReadAdapter>> => {
  try {
    const read = new Map<string, ReadAdapter>();
    for (const [name, { read: readFor, baseHash }] of opened) {
      read.set(name, { ...(await readFor(config)), baseHash });
    }
    return read;
  } finally {
    await closeAdapters(opened);
  }
};

/**
 * Makes one model per adapter. All these models share the weights of `base`. Returns the models by the adapters' names.
 * If one model cannot be made, all memory that was allocated is freed.
 */
export const placeAdapters = (
  base: Model,
  adapters: ReadonlyMap<string, ReadAdapter>,
): Readonly<Record<string, Model>> => {
  const placed: [string, Model][] = [];
  try {
    for (const [name, { lora, values, baseHash }] of adapters) {
      const model = adaptedModel(base, lora);
      placed.push([name, model]);
      const { arena } = model.adapter;
      base.backend.write(arena.storage, values, 0);
      arena.changes.count++;
      noteBaseHash(arena, baseHash);
    }
    return Object.fromEntries(placed);
  } catch (error) {
    for (const [, model] of placed) model.close();
    throw error;
  }
};
