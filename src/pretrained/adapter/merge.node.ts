/** A model and its adapter as one model, on the disk. */
import { checkCallback, checkChoice, checkKeys, checkName, checkPath } from "../../core/checks/check-arguments.ts";
import type { ProductDType } from "../../core/tensors/dtype.ts";
import { writeDirectory } from "../export/directory.node.ts";
import { checkSource, type MergeBase, openAdapted } from "../export/source.node.ts";

/** Options of `saveMerged`. */
export interface MergeOptions extends MergeBase {
  /** The model. Default: the one that the adapter names. */
  readonly base?: string | undefined;
  /**
   * Element type of the weights' file: float32, the default, or bfloat16, half of it, rounded to nearest: that removes a part of
   * what the adapter learned.
   */
  readonly dtype?: ProductDType | undefined;
  /** Gets one line for the user, such as that files are unchecked. A promise is waited for. */
  readonly onNotice?: ((line: string) => void) | undefined;
  /** Gets the bytes of the model's weights read so far, and in all. Default: none. */
  readonly onProgress?: ((bytes: number, all: number) => void) | undefined;
}

/** The model that was written. */
export interface Merged {
  /** The place of the model that the adapter was merged into. */
  readonly base: string;
  /** Number of its weights. */
  readonly parameters: number;
}

/**
 * Merges a LoRA adapter into its model and writes the result: a Hugging Face directory like those of `savePretrained`, which
 * needs no adapter any more. Sums are in double precision, rounded once. The tokenizer, the chat template and the tokens that
 * end a text are the model's, where it is a directory its own files; but an adapter that learned conversations may have
 * another template, and more such tokens. The weights are in memory as a whole.
 * Loaded in bfloat16 the result loses a part of what the adapter learned: its changes are small beside the weights, so rounding their
 * sum removes some. Loaded in float32 it does not, and the adapter beside its model loses nothing in either.
 * @param directory created with its parents if it is missing; an earlier checkpoint there is replaced as a whole.
 * @param adapter a folder that PEFT or a run wrote.
 * @throws CheckpointError for an adapter that is damaged, has another model, or names none that is here; or a folder with
 *   other files. Nothing is changed then.
 * @example
 * ```ts
 * import { saveMerged } from "foretoken";
 *
 * await saveMerged("models/letters", "runs/letters/best", { dtype: "bfloat16" });
 * ```
 */
export const saveMerged = async (directory: string, adapter: string, options: MergeOptions = {}): Promise<Merged> => {
  const where = "saveMerged";
  checkPath(`${where}: directory`, directory);
  checkName(`${where}: adapter`, adapter);
  checkKeys(where, options, ["base", "baseCheck", "dtype", "onNotice", "onProgress"]);
  checkSource(where, options);
  checkChoice(`${where}: dtype`, options.dtype, ["float32", "bfloat16"]);
  checkCallback(`${where}: onNotice`, options.onNotice);
  checkCallback(`${where}: onProgress`, options.onProgress);
  const { dtype, onProgress, ...asked } = options;
  const source = await openAdapted(adapter, { ...asked, onFetch: onProgress });
  try {
    const { parameters } = await writeDirectory(directory, source, { where, dtype, replace: true, onRead: onProgress });
    return { base: source.base.servedFrom(), parameters };
  } finally {
    await source.close();
  }
};
