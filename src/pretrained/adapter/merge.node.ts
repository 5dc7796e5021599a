/** Merges a model and its adapter into one model on disk. */
import {
  checkCallback,
  checkChoice,
  checkKeys,
  checkName,
  checkPath,
  checkSignal,
} from "../../core/checks/check-arguments.ts";
import type { ProductDType } from "../../core/tensors/dtype.ts";
import { writeDirectory } from "../export/directory.node.ts";
import { checkSource, type MergeBase, openAdapted } from "../export/source.node.ts";

/** Options of `saveMerged`. */
export interface MergeOptions extends MergeBase {
  /** The base model. Default: the model that the adapter names. */
  readonly base?: string | undefined;
  /**
   * Number format of the weights file. Default: float32. A bfloat16 file has half the size, but rounding to bfloat16
   * loses part of what the adapter learned.
   */
  readonly dtype?: ProductDType | undefined;
  /** Cancels the work; then nothing is written. Default: none. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Gets one line for the user, for example that files are not checked. If it returns a promise, the promise is
   * awaited.
   */
  readonly onNotice?: ((line: string) => void) | undefined;
  /** Gets the number of bytes of the model's weights read so far and the total. */
  readonly onProgress?: ((bytes: number, all: number) => void) | undefined;
}

/** The model that was written. */
export interface Merged {
  /** Place of the base model. */
  readonly base: string;
  /** Number of weights of the merged model. */
  readonly parameters: number;
}

/**
 * Merges a LoRA adapter into its base model and writes the result as a Hugging Face directory, like `savePretrained`.
 * The result needs no adapter. Sums are computed in double precision and rounded once. The whole model must fit in
 * memory.
 * The tokenizer, the chat template and the end tokens come from the base model. If the base model is a directory, its
 * text files are copied. An adapter that learned conversations may replace the chat template and add end tokens.
 * An adapter's changes are small compared with the weights. If the result is stored or loaded in bfloat16, rounding
 * removes part of these changes. In float32, nothing is lost. An adapter that is loaded next to its model also loses
 * nothing.
 * @param directory created with its parents if it is missing; an earlier checkpoint there is replaced.
 * @param adapter a folder that PEFT wrote, or a run's folder.
 * @throws CheckpointError if the adapter is damaged, belongs to another model or names no model on this disk, or if the
 * directory contains other files. After such an error, nothing is changed.
 * @example
 * ```ts
 * import { saveMerged } from "foretoken";
 * await saveMerged("models/letters", "runs/letters/best", { dtype: "bfloat16" });
 * ```
 */
export const saveMerged = async (directory: string, adapter: string, options: MergeOptions = {}): Promise<Merged> => {
  const where = "saveMerged";
  checkPath(`${where}: directory`, directory);
  checkName(`${where}: adapter`, adapter);
  checkKeys(where, options, ["base", "baseCheck", "dtype", "signal", "onNotice", "onProgress"]);
  checkSource(where, options);
  checkChoice(`${where}: dtype`, options.dtype, ["float32", "bfloat16"]);
  checkSignal(`${where}: signal`, options.signal);
  checkCallback(`${where}: onNotice`, options.onNotice);
  checkCallback(`${where}: onProgress`, options.onProgress);
  const { dtype, signal, onProgress, ...asked } = options;
  const source = await openAdapted(adapter, { ...asked, onFetch: onProgress });
  try {
    const writing = { where, dtype, replace: true, signal, onRead: onProgress };
    const { parameters } = await writeDirectory(directory, source, writing);
    return { base: source.base.servedFrom(), parameters };
  } finally {
    await source.close();
  }
};
