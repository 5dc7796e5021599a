/**
 * Opened adapters, whose weights have not been read yet. They are separate from what reads adapters, because most models
 * have no adapter.
 */
import type { ByteSource } from "../../io/byte-source.ts";
import type { ModelConfig } from "../../models/config.ts";
import type { LoraConfig } from "../../models/lora/config.ts";
import type { PeftConfig } from "./config.ts";
import type { adapterConfigName, adapterWeightsName } from "./names.ts";
import type { AdapterValues } from "./read.ts";
import type { AdapterText } from "./text.ts";

/** An adapter's files, by PEFT's file names. */
export type AdapterFiles = Readonly<Record<typeof adapterConfigName | typeof adapterWeightsName, Uint8Array>> &
  Readonly<Record<string, Uint8Array>>;

/** An adapter with open files. The adapter's weights have not been read yet. */
export interface OpenedAdapter {
  /** The adapter's folder or GGUF file, for errors. */
  readonly where: string;
  /** Fields in which the adapter names the base model. */
  readonly peft: Pick<PeftConfig, "base" | "revision">;
  readonly text: AdapterText;
  /** The file with the adapter's matrices. The caller closes it. */
  readonly source: ByteSource;
  /**
   * Reads the adapter's matrices for a model. Leaves the file open.
   * @param expected the adapter's configuration, if it is known; a different configuration is an error.
   * @throws CheckpointError for damaged matrices or an adapter of another model.
   */
  readonly read: (config: ModelConfig, expected?: LoraConfig) => Promise<AdapterValues>;
  /** Whether the files are compared with a manifest. */
  readonly checked: boolean;
  /** Hash of the base weights, as in `Pretrained.sha256`; null if it is unknown. */
  readonly baseHash: string | null;
}

/** Opened adapters by name. */
export type OpenedAdapters = ReadonlyMap<string, OpenedAdapter>;

/** Name of a single adapter that was loaded without a name. PEFT uses the same name. */
export const defaultAdapter = "default";

/** Pairs of name and source of each adapter in the options. */
export const askedAdapters = <Source>({
  adapter,
  adapters = {},
}: {
  readonly adapter?: Source | undefined;
  readonly adapters?: Readonly<Record<string, Source>> | undefined;
}): readonly (readonly [name: string, source: Source])[] =>
  adapter === undefined ? Object.entries(adapters) : [[defaultAdapter, adapter]];

export const closeAdapters = async (adapters: OpenedAdapters): Promise<void> => {
  await Promise.all([...adapters.values()].map(({ source }) => source.close()));
};

/** Opens all adapters. If one adapter cannot be opened, closes the other adapters. */
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
