/** The model to be exported, alone or with a LoRA adapter. */
import { checkBoolean, checkName } from "../../core/checks/check-arguments.ts";
import { CheckpointError } from "../../core/errors/errors.ts";
import { fromBfloat16 } from "../../core/tensors/dtype.ts";
import { arrayReader, type ReadValues } from "../../models/arena.ts";
import { findUnreal } from "../../models/hugging-face/find-unreal.ts";
import { loraLayout } from "../../models/lora/layout.ts";
import { addAdapter } from "../../models/lora/merge.ts";
import { modelLayout } from "../../models/model.ts";
import { type OpenedBase, openBase } from "../adapter/base/open.node.ts";
import { type ReadAdapter, readAdapters } from "../adapter/load.ts";
import { openAdapter } from "../adapter/open.node.ts";
import { closeAdapters, defaultAdapter } from "../adapter/opened.ts";
import { namesAdapter } from "../adapter/place.node.ts";
import { type AdapterText, mergedTextFiles, withAdapterText } from "../adapter/text.ts";
import type { ModelFacts } from "../gguf/write/contents.ts";
import { modelPlace, noticeUnchecked, noticeUncheckedAdapter, openPretrained } from "../open.node.ts";

/** Gets the number of bytes of weights read so far and the total. */
export type OnRead = (bytes: number, all: number) => void;

/** Options that choose the base model that an adapter is merged into. */
export interface MergeBase {
  /** The base model, if the argument for the model is an adapter. Default: the model that the adapter names. */
  readonly base?: string | undefined;
  /**
   * Whether the base model must have the weights that the adapter was trained on. The SHA-256 of the weights is
   * compared. Default: true.
   */
  readonly baseCheck?: boolean | undefined;
}

/** Options that choose the model to export. */
export interface SourceOptions extends MergeBase {
  /** A LoRA adapter for the model. Default: none. */
  readonly adapter?: string | undefined;
  /**
   * Gets one line for the user, for example that files are not checked. If it returns a promise, the promise is
   * awaited.
   */
  readonly onNotice?: ((line: string) => void) | undefined;
  /** Gets the number of bytes downloaded from the hub so far and the total. Default: none. */
  readonly onFetch?: OnRead | undefined;
}

/** Option names that `checkSource` checks. */
export const sourceOptionNames = ["adapter", "base", "baseCheck"] as const;

/** @param where the called function. @throws ConfigError naming the option. */
export const checkSource = (where: string, { adapter, base, baseCheck }: SourceOptions): void => {
  if (adapter !== undefined) checkName(`${where}: adapter`, adapter);
  if (base !== undefined) checkName(`${where}: base`, base);
  if (baseCheck !== undefined) checkBoolean(`${where}: baseCheck`, baseCheck);
};

/** The adapter of a model that is exported. */
export interface SourceAdapter extends ReadAdapter {
  /** The adapter's folder or file. */
  readonly where: string;
  readonly text: AdapterText;
}

/** A model to export. The model's weights are read only when `readWeights` is called. */
export interface ModelSource {
  /** Facts about the exported model. The facts include the adapter's changes. */
  readonly facts: ModelFacts;
  /** Text files of the model's directory (tokenizer, chat template). Empty for a GGUF file. */
  readonly textFiles: Readonly<Record<string, Uint8Array | string>>;
  /** The opened model, without the adapter. */
  readonly base: OpenedBase;
  /** The adapter. Null if the model has no adapter. */
  readonly adapter: SourceAdapter | null;
  /**
   * Reads all weights into memory and adds the adapter's changes. Without an adapter, weights that are all bfloat16
   * stay bfloat16 in memory.
   */
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
          // `part` has bfloat16 words, because all weights of the files are bfloat16.
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
        const placeMerged = (part: Float32Array, offset: number): void => {
          const bad = findUnreal(part);
          if (bad !== -1) {
            throw new CheckpointError({
              where: adapter.where,
              must: "the weights with the adapter's changes must be finite numbers",
              got: `${part[bad]}: the adapter is damaged, or its training diverged`,
              hint: "another adapter",
            });
          }
          place(part, offset);
        };
        const own = { config: lora, layout: loraLayout(config, lora), read: arrayReader(adapter.values) };
        await addAdapter(config, layout, own, arrayReader(values), placeMerged);
      }
      return arrayReader(values);
    },
    close: () => weights.close(),
  };
};

/**
 * Opens an adapter with its base model.
 * @param place the adapter's folder or GGUF file, or the folder of the adapter's run.
 * @throws CheckpointError if the adapter is damaged, belongs to another model, or names no model on this disk.
 */
export const openAdapted = async (place: string, options: Omit<SourceOptions, "adapter">): Promise<ModelSource> => {
  const opened = new Map([[defaultAdapter, await openAdapter(await modelPlace(place))]] as const);
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
 * Opens a model to be exported, with its adapter.
 * @param named a directory, a run's folder, a GGUF file, `hf:org/name`, or an adapter's folder or file.
 * @param where the called function, for errors.
 * @throws CheckpointError naming the file and the problem.
 * @throws ConfigError for options that cannot be combined.
 */
export const openSource = async (named: string, options: SourceOptions, where: string): Promise<ModelSource> => {
  const place = await modelPlace(named);
  const isAdapter = await namesAdapter(place, options, where);
  const { adapter, onNotice, onFetch } = options;
  if (isAdapter) return openAdapted(place, options);
  if (adapter !== undefined) return openAdapted(adapter, { ...options, base: place });
  const opened = await openPretrained(place, { onNotice, onDownload: onFetch });
  await noticeUnchecked(opened, place, onNotice);
  return sourceOf({ ...opened, servedFrom: () => opened.where }, null);
};
