/** A model that is written in another form: as it is, or with a LoRA adapter. */
import { checkBoolean, checkName } from "../../core/checks/check-arguments.ts";
import { fromBfloat16 } from "../../core/tensors/dtype.ts";
import { arrayReader, type ReadValues } from "../../models/arena.ts";
import { loraLayout } from "../../models/lora/layout.ts";
import { addAdapter } from "../../models/lora/merge.ts";
import { modelLayout } from "../../models/model.ts";
import { type OpenedBase, openBase } from "../adapter/base/open.node.ts";
import { closeAdapters, defaultAdapter, type ReadAdapter, readAdapters } from "../adapter/load.ts";
import { namesAdapter, openAdapter } from "../adapter/open.node.ts";
import { type AdapterText, mergedTextFiles, withAdapterText } from "../adapter/text.ts";
import type { ModelFacts } from "../gguf/write/contents.ts";
import { noticeUnchecked, noticeUncheckedAdapter, openPretrained } from "../open.node.ts";

/** Gets the bytes of the weights that were read so far, and in all. */
export type OnRead = (bytes: number, all: number) => void;

/** Which model an adapter that is written is merged into. */
export interface MergeBase {
  /** The model, where an adapter is named in its place. Default: the one that the adapter names. */
  readonly base?: string | undefined;
  /** Whether its weights must be those that the adapter was trained on, by their SHA-256. Default true. */
  readonly baseCheck?: boolean | undefined;
}

/** Which model is written. */
export interface SourceOptions extends MergeBase {
  /** A LoRA adapter for the model. Default: none. */
  readonly adapter?: string | undefined;
  /** Gets one line for the user, such as that files are unchecked. A promise is waited for. */
  readonly onNotice?: ((line: string) => void) | undefined;
  /** Gets the bytes of a model of the hub that were fetched, and all of them. Default: none. */
  readonly onFetch?: OnRead | undefined;
}

/** Names of the options that `checkSource` checks. */
export const sourceOptionNames = ["adapter", "base", "baseCheck"] as const;

/** @param where the called function. @throws ConfigError naming the option. */
export const checkSource = (where: string, { adapter, base, baseCheck }: SourceOptions): void => {
  if (adapter !== undefined) checkName(`${where}: adapter`, adapter);
  if (base !== undefined) checkName(`${where}: base`, base);
  if (baseCheck !== undefined) checkBoolean(`${where}: baseCheck`, baseCheck);
};

/** An adapter of a model that is written. */
export interface SourceAdapter extends ReadAdapter {
  /** Its folder or file. */
  readonly where: string;
  readonly text: AdapterText;
}

/** A model to write. Its weights are read when they are asked for. */
export interface ModelSource {
  /** What is written: with an adapter, model and adapter as one model. */
  readonly facts: ModelFacts;
  /** Files about text as the model's directory has them; none of a GGUF file. */
  readonly textFiles: Readonly<Record<string, Uint8Array | string>>;
  /** The model without the adapter, open. */
  readonly base: OpenedBase;
  /** null: the model has none. */
  readonly adapter: SourceAdapter | null;
  /** Reads all weights into memory, and adds the adapter. Words of bfloat16 where the files have those alone. */
  readonly readWeights: (signal?: AbortSignal, onRead?: OnRead) => Promise<ReadValues>;
  /** Closes the files. A second call does nothing. */
  readonly close: () => Promise<void>;
}

const wordsReader =
  (words: Uint16Array): ReadValues =>
  async (offset, size) =>
    fromBfloat16(words.subarray(offset, offset + size));

const sourceOf = (base: OpenedBase, adapter: SourceAdapter | null): ModelSource => {
  const facts = withAdapterText(base, adapter?.text);
  const { config, vocabSize, weights } = base;
  return {
    ...{ facts, base, adapter, textFiles: mergedTextFiles(base, facts) },
    async readWeights(signal, onRead) {
      const layout = modelLayout(config, vocabSize);
      const narrow = adapter === null && base.dtypes.every((dtype) => dtype === "BF16");
      const tell = (bytes: number): void => onRead?.(bytes, weights.bytes);
      if (narrow) {
        const words = new Uint16Array(layout.length);
        const place = (part: Float32Array | Uint16Array, offset: number): void => {
          signal?.throwIfAborted();
          // Words: all weights of the files are.
          words.set(part, offset);
        };
        await weights.read(layout, { place, placeWords: place }, tell);
        return wordsReader(words);
      }
      const values = new Float32Array(layout.length);
      const place = (part: Float32Array, offset: number): void => {
        signal?.throwIfAborted();
        values.set(part, offset);
      };
      await weights.read(layout, { place }, tell);
      if (adapter !== null) {
        const { lora } = adapter;
        const own = { config: lora, layout: loraLayout(config, lora), read: arrayReader(adapter.values) };
        await addAdapter(config, layout, own, arrayReader(values), place);
      }
      return arrayReader(values);
    },
    close: () => weights.close(),
  };
};

/**
 * Opens an adapter with its model.
 * @param place the adapter's folder or GGUF file.
 * @throws CheckpointError for an adapter that is damaged, has another model, or names none that is here.
 */
export const openAdapted = async (place: string, options: Omit<SourceOptions, "adapter">): Promise<ModelSource> => {
  const opened = new Map([[defaultAdapter, await openAdapter(place)]] as const);
  try {
    const [found] = opened.values();
    if (found === undefined) throw new Error("an adapter was opened");
    const { where, text } = found;
    await noticeUncheckedAdapter(found, options.onNotice);
    const base = await openBase(found, { ...options, onProgress: options.onFetch });
    try {
      const [read] = (await readAdapters(base.config, opened)).values();
      if (read === undefined) throw new Error("an adapter was read");
      return sourceOf(base, { ...read, where, text });
    } catch (error) {
      await base.weights.close();
      throw error;
    }
  } finally {
    await closeAdapters(opened);
  }
};

/**
 * Opens a model that is to be written, with its adapter.
 * @param place a directory, a GGUF file, `hf:org/name`, or an adapter's folder or file.
 * @param where the called function, for errors.
 * @throws CheckpointError naming the file and its fault; ConfigError for options that do not go together.
 */
export const openSource = async (place: string, options: SourceOptions, where: string): Promise<ModelSource> => {
  const isAdapter = await namesAdapter(place, options, where);
  const { adapter, onNotice, onFetch } = options;
  if (isAdapter) return openAdapted(place, options);
  if (adapter !== undefined) return openAdapted(adapter, { ...options, base: place });
  const opened = await openPretrained(place, { onNotice, onDownload: onFetch });
  await noticeUnchecked(opened, place, onNotice);
  return sourceOf({ ...opened, servedFrom: () => opened.where }, null);
};
