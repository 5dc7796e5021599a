import type { Backend } from "../backend/backend.ts";
import { type BackendChoice, openBackend } from "../backend/select.browser.ts";
import { checkBoolean } from "../core/checks/check-arguments.ts";
import { addressSource, fetchIfThere, fetchWhole } from "../io/address-source.ts";
import { memorySource } from "../io/byte-source.ts";
import { manifestName } from "../io/manifest.ts";
import { canDigest, hashInMemory, manifestIn } from "../io/manifest-in-memory.ts";
import { checkBase, trainedOn } from "./adapter/base/check.ts";
import { openAdapterFiles } from "./adapter/load.ts";
import { adapterConfigName, adapterWeightsName } from "./adapter/names.ts";
import { type AdapterFiles, askedAdapters, defaultAdapter, type OpenedAdapter, openAll } from "./adapter/opened.ts";
import { adapterTextNames, withAdapterText } from "./adapter/text.ts";
import { checkLoad } from "./check-load.ts";
import { parseFiles } from "./files/checkpoint-files.ts";
import type { CheckpointFiles } from "./files/names.ts";
import { configName, indexName, optionalNames, weightsFileName } from "./files/names.ts";
import { placeLanguageModel } from "./files/place.ts";
import { openWeights, type WeightFile } from "./files/weights.ts";
import { pretrainedOfGguf } from "./gguf/gguf.ts";
import type { LanguageModel } from "./model/language-model.ts";
import { type PretrainedFacts, parseFacts, shardNames } from "./parse.ts";
import type { Pretrained } from "./pretrained.ts";

/** Options of `loadPretrained`. */
export interface LoadOptions {
  /**
   * A backend that you opened, or the name of a backend. You close your own backend. A backend that is opened by name
   * is closed with the model. Default: "wasm".
   */
  readonly backend?: Backend | BackendChoice | undefined;
  /** Number of threads of a backend that is opened by name. Default: all cores. */
  readonly threads?: number | undefined;
  /**
   * A LoRA adapter for the model: its files, or the address of a folder that PEFT or a run wrote. After loading, the
   * adapter is in use and has the name "default". Default: none.
   */
  readonly adapter?: AdapterSource | undefined;
  /**
   * Several adapters, by names that you choose. The first adapter is in use. `useAdapter` switches to another adapter.
   * Default: none.
   */
  readonly adapters?: Readonly<Record<string, AdapterSource>> | undefined;
  /**
   * Whether the model must have the weights that the adapter was trained on. Adapters that Foretoken wrote contain the
   * SHA-256 of these weights. If true, a checkpoint is refused if its manifest lists other weights. Default: true.
   */
  readonly baseCheck?: boolean | undefined;
  /**
   * Whether quantized matrices of a GGUF file (4 to 8 bits) stay quantized in memory. Quantized matrices take much less
   * memory and are faster, but matrix products round activations to 8 bits. If false, the matrices are converted to
   * float32. Default: true. On a backend that you pass, matrices are always converted.
   */
  readonly keepBlocks?: boolean | undefined;
  /** Gets the number of bytes of weights read so far and the total. Default: none. */
  readonly onProgress?: ((bytes: number, all: number) => void) | undefined;
}

/** Fetches the small files of a directory on a server. */
const fetchSmall = async (directory: string): Promise<Record<string, Uint8Array>> => {
  const [config, manifest] = await Promise.all([
    fetchWhole(`${directory}/${configName}`),
    fetchIfThere(`${directory}/${manifestName}`),
  ]);
  // A manifest that Foretoken wrote lists the files that exist.
  const listed = manifest === undefined ? undefined : manifestIn(manifest)?.files;
  const wanted = optionalNames.filter((name) => listed === undefined || Object.hasOwn(listed, name));
  const found = await Promise.all(
    wanted.map(async (name) => {
      const where = `${directory}/${name}`;
      return [name, await (listed === undefined ? fetchIfThere(where) : fetchWhole(where))] as const;
    }),
  );
  return {
    ...Object.fromEntries(found.flatMap(([name, bytes]) => (bytes === undefined ? [] : [[name, bytes]]))),
    ...(manifest === undefined ? {} : { [manifestName]: manifest }),
    [configName]: config,
  };
};

const openDirectory = async (directory: string): Promise<Pretrained> => {
  const small = await fetchSmall(directory);
  const manifest = small[manifestName];
  if (manifest !== undefined && canDigest() && manifestIn(manifest) !== undefined) {
    // Web Crypto can hash only a whole file.
    const weights = await fetchWhole(`${directory}/${weightsFileName}`);
    return parseFiles({ ...small, [weightsFileName]: weights } as CheckpointFiles, directory);
  }
  const facts = await parseFacts(directory, small);
  const index = small[indexName];
  const names = index === undefined ? [weightsFileName] : shardNames(index, `${directory}/${indexName}`);
  const files: WeightFile[] = [];
  try {
    for (const name of names) {
      const where = `${directory}/${name}`;
      const source = await addressSource(where);
      files.push({ where, source });
      // A browser opens only a few connections to a server.
      if (names.length > 1) await source.pause?.();
    }
  } catch (error) {
    await Promise.all(files.map(({ source }) => source.close()));
    throw error;
  }
  const where = `${directory}/${names.length === 1 ? names[0] : indexName}`;
  // Without a manifest, the hash stays unknown: the weights arrive as a stream, but Web Crypto can hash only a whole
  // file.
  return { ...facts, checked: false, weights: await openWeights(files, facts, where), sha256: async () => null };
};

/** Whether an address names a GGUF file. */
const isGguf = (address: string): boolean => /\.gguf(?:[?#]|$)/iu.test(address);

/** Reads a whole GGUF file and opens it. The hash covers all bytes. */
const openGguf = async (address: string): Promise<Pretrained> => {
  const bytes = await fetchWhole(address);
  const hash = hashInMemory(bytes);
  // `hash` is awaited below. Until then, this handler avoids an unhandled rejection.
  hash.catch(() => {});
  const { dtypes: _, ...opened } = await pretrainedOfGguf(memorySource(bytes), address);
  await hash;
  return { ...opened, sha256: () => hash };
};

/**
 * A checkpoint that `loadPretrained` reads: the address of its directory, the address of its GGUF file, or its files in
 * memory.
 */
export type CheckpointSource = string | URL | CheckpointFiles;

const trimmed = (address: string | URL): string => String(address).replace(/\/+$/, "");

/**
 * Opens a model and checks everything except the weights, which are read later. If the files include `manifest.json`
 * and the page has Web Crypto, the files are compared with the SHA-256 in the manifest.
 * @throws CheckpointError with the file and the problem.
 */
export const openCheckpoint = (checkpoint: CheckpointSource): Promise<Pretrained> => {
  const isAddress = typeof checkpoint === "string" || checkpoint instanceof URL;
  if (!isAddress) return parseFiles(checkpoint);
  const address = trimmed(checkpoint);
  return isGguf(address) ? openGguf(address) : openDirectory(address);
};

/** An adapter: the address of its folder, or its files. */
export type AdapterSource = string | URL | AdapterFiles;

const fetchAdapter = async (folder: string): Promise<AdapterFiles> => {
  const optional = [manifestName, ...adapterTextNames];
  const [config, weights, ...others] = await Promise.all([
    fetchWhole(`${folder}/${adapterConfigName}`),
    fetchWhole(`${folder}/${adapterWeightsName}`),
    ...optional.map((name) => fetchIfThere(`${folder}/${name}`)),
  ]);
  const found = optional.flatMap((name, i) => {
    const bytes = others[i];
    return bytes === undefined ? [] : [[name, bytes] as const];
  });
  return { ...{ [adapterConfigName]: config, [adapterWeightsName]: weights }, ...Object.fromEntries(found) };
};

const openAdapter = async (source: AdapterSource, name: string): Promise<OpenedAdapter> => {
  const isAddress = typeof source === "string" || source instanceof URL;
  if (!isAddress) return openAdapterFiles(source, name);
  const folder = trimmed(source);
  return openAdapterFiles(await fetchAdapter(folder), folder);
};

/**
 * The same as `loadPretrained`, without the argument checks.
 * @param onOpened gets the model's facts before its weights are read.
 */
export const loadOpened = async (
  checkpoint: CheckpointSource,
  options: LoadOptions,
  onOpened: (facts: PretrainedFacts) => void,
): Promise<LanguageModel> => {
  const adapters = await openAll(askedAdapters(options), openAdapter);
  const pretrained = withAdapterText(await openCheckpoint(checkpoint), adapters.get(defaultAdapter)?.text);
  const { backend = "wasm", threads, keepBlocks = true, onProgress, baseCheck = true } = options;
  const { weights } = pretrained;
  if (baseCheck) {
    await checkBase(pretrained, adapters, async () => trainedOn).catch(async (error: unknown) => {
      await weights.close();
      throw error;
    });
  }
  onOpened(pretrained);
  const place = (opened: Backend, onClose?: () => Promise<void>) =>
    placeLanguageModel(opened, pretrained, adapters, {
      freeze: false,
      keepBlocks: keepBlocks && typeof backend === "string",
      onClose,
      onProgress: onProgress && ((bytes) => onProgress(bytes, weights.bytes)),
    });
  if (typeof backend !== "string") return place(backend);
  const opened = await openBackend(backend, { threads }).catch(async (error: unknown) => {
    await weights.close();
    throw error;
  });
  try {
    return await place(opened, () => opened.close());
  } catch (error) {
    await opened.close();
    throw error;
  }
};

/**
 * Loads a language model from a checkpoint of Foretoken, a Hugging Face directory (GPT-2, Llama, Mistral, Qwen2, Qwen3
 * or Phi-3), or a GGUF file. If a checkpoint has `manifest.json` and the page has Web Crypto, its files are compared
 * with the SHA-256 in the manifest. The weights of other directories are read while they arrive.
 * @param checkpoint its files, the address of its directory, or the address of a file that ends in `.gguf`.
 * @param options backend, threads, adapters.
 * @throws CheckpointError for a missing or damaged model, or a model that would compute different results here.
 * @throws UnsupportedKernelError for a missing backend.
 * @example
 * ```ts
 * import { loadPretrained } from "foretoken/browser";
 *
 * const lm = await loadPretrained("https://example.org/checkpoint", { backend: "reference" });
 * console.log((await lm.score("The end.")).mean);
 * await lm.close();
 * ```
 */
export const loadPretrained = async (
  checkpoint: CheckpointSource,
  options: LoadOptions = {},
): Promise<LanguageModel> => {
  checkLoad(checkpoint, options, true);
  if (options.keepBlocks !== undefined) checkBoolean("loadPretrained: keepBlocks", options.keepBlocks);
  return loadOpened(checkpoint, options, () => {});
};
