/** Adapters from their files into a model's backend. */
import { type ByteSource, memorySource } from "../../io/byte-source.ts";
import { manifestName } from "../../io/manifest.ts";
import { checkManifest } from "../../io/manifest-in-memory.ts";
import { openMetadata } from "../../io/safetensors.ts";
import type { ModelConfig } from "../../models/config.ts";
import type { LoraConfig } from "../../models/lora/config.ts";
import { adaptedModel } from "../../models/lora/model.ts";
import type { Model } from "../../models/model.ts";
import { noteBaseHash } from "./base/noted-hash.ts";
import { adapterConfigName, adapterWeightsName, baseHashKey, type PeftConfig, parsePeftConfig } from "./config.ts";
import { type AdapterValues, readAdapterValues } from "./read.ts";
import { type AdapterText, adapterTextNames, parseAdapterText } from "./text.ts";

/** An adapter's files by name, as PEFT names them. */
export type AdapterFiles = Readonly<Record<typeof adapterConfigName | typeof adapterWeightsName, Uint8Array>> &
  Readonly<Record<string, Uint8Array>>;

/** An adapter that was found, but for its weights. */
export interface OpenedAdapter {
  /** Its folder or its GGUF file, for errors. */
  readonly where: string;
  /** The model that it is for, as it names it. */
  readonly peft: Pick<PeftConfig, "base" | "revision">;
  readonly text: AdapterText;
  /** The file with its matrices, to be closed. */
  readonly source: ByteSource;
  /**
   * Reads its matrices for a model; the file stays open.
   * @param expected its configuration, where that is known: another one is an error.
   * @throws CheckpointError for damaged matrices, or those of another model.
   */
  readonly read: (config: ModelConfig, expected?: LoraConfig) => Promise<AdapterValues>;
  /** Whether its files are compared with a manifest. */
  readonly checked: boolean;
  /** The hash of the weights that it was trained on, as `Pretrained.sha256`; null: unknown. */
  readonly baseHash: string | null;
}

/** The hash of its base in an adapter's weights' file; null: it names none, as PEFT's. */
export const baseHashIn = async (source: ByteSource, where: string): Promise<string | null> =>
  (await openMetadata(source, `${where}/${adapterWeightsName}`))[baseHashKey] ?? null;

/** Opened adapters by their names. */
export type OpenedAdapters = ReadonlyMap<string, OpenedAdapter>;

/** The name of the only adapter, which nobody has named: PEFT's. */
export const defaultAdapter = "default";

/** The adapters that options ask for, by name. */
export const askedAdapters = <Source>({
  adapter,
  adapters = {},
}: {
  readonly adapter?: Source | undefined;
  readonly adapters?: Readonly<Record<string, Source>> | undefined;
}): readonly (readonly [name: string, source: Source])[] =>
  adapter === undefined ? Object.entries(adapters) : [[defaultAdapter, adapter]];

/**
 * Opens an adapter's files in memory, and compares them with the manifest among them, if there is one.
 * @param where its name in errors.
 * @throws CheckpointError naming the file and its fault.
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

export const closeAdapters = async (adapters: OpenedAdapters): Promise<void> => {
  await Promise.all([...adapters.values()].map(({ source }) => source.close()));
};

/** Opens adapters, all or none. */
export const openAll = async <Source>(
  asked: readonly (readonly [name: string, source: Source])[],
  open: (source: Source, name: string) => Promise<OpenedAdapter>,
): Promise<OpenedAdapters> => {
  const opened = new Map<string, OpenedAdapter>();
  try {
    for (const [name, source] of asked) opened.set(name, await open(source, name));
    return opened;
  } catch (error) {
    await closeAdapters(opened);
    throw error;
  }
};

/** An adapter that was read, with the hash of its base. */
export interface ReadAdapter extends AdapterValues, Pick<OpenedAdapter, "baseHash"> {}

/**
 * Reads adapters for a model, and closes them.
 * @throws CheckpointError for a damaged adapter, or one of another model.
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

/** Models with the adapters over the weights of `base`, by name. A failure leaves no memory taken. */
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
