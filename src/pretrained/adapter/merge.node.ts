/** A model and its adapter as one model, on the disk. */
import { realpath } from "node:fs/promises";
import {
  checkBoolean,
  checkCallback,
  checkChoice,
  checkKeys,
  checkName,
  checkPath,
} from "../../core/checks/check-arguments.ts";
import { CheckpointError } from "../../core/errors/errors.ts";
import type { ProductDType } from "../../core/tensors/dtype.ts";
import { writeCheckpoint } from "../../io/checkpoint.node.ts";
import { arrayReader } from "../../models/arena.ts";
import { loraLayout } from "../../models/lora/layout.ts";
import { addAdapter } from "../../models/lora/merge.ts";
import { modelLayout } from "../../models/model.ts";
import { pretrainedFiles } from "../files/pretrained-files.ts";
import { replaceable } from "../files/replaceable.node.ts";
import { uncheckedNotice } from "../open.node.ts";
import { openBase } from "./base/open.node.ts";
import { closeAdapters, defaultAdapter, readAdapters } from "./load.ts";
import { openAdapter } from "./open.node.ts";
import { mergedTextFiles, withAdapterText } from "./text.ts";

/** Options of `saveMerged`. */
export interface MergeOptions {
  /** The model. Default: the one that the adapter names. */
  readonly base?: string | undefined;
  /** Whether its weights must be those that the adapter was trained on, by their SHA-256. Default true. */
  readonly baseCheck?: boolean | undefined;
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

const placeOf = (path: string): Promise<string | undefined> => realpath(path).catch(() => undefined);

/** @throws CheckpointError for a folder that is the model's own: its weights would be gone, and the adapter be added twice. */
const checkOther = async (directory: string, base: string): Promise<void> => {
  const place = await placeOf(directory);
  if (place === undefined || place !== (await placeOf(base))) return;
  throw new CheckpointError({
    where: directory,
    must: "the folder must not be the model's own",
    got: `${base}, which the adapter is for`,
    hint: "another folder",
  });
};

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
  checkPath("saveMerged: directory", directory);
  checkName("saveMerged: adapter", adapter);
  checkKeys("saveMerged", options, ["base", "baseCheck", "dtype", "onNotice", "onProgress"]);
  if (options.base !== undefined) checkName("saveMerged: base", options.base);
  if (options.baseCheck !== undefined) checkBoolean("saveMerged: baseCheck", options.baseCheck);
  checkChoice("saveMerged: dtype", options.dtype, ["float32", "bfloat16"]);
  checkCallback("saveMerged: onNotice", options.onNotice);
  checkCallback("saveMerged: onProgress", options.onProgress);
  const opened = new Map([[defaultAdapter, await openAdapter(adapter)]] as const);
  try {
    const [found] = opened.values();
    if (found === undefined) throw new Error("an adapter was opened");
    if (!found.checked) await options.onNotice?.(uncheckedNotice(adapter));
    const base = await openBase(found, options);
    const { where: path, config, vocabSize, tokenizer, weights } = base;
    const merged = withAdapterText(base, found.text);
    const { chatTemplate, endTokens } = merged;
    try {
      const [read] = (await readAdapters(config, opened)).values();
      if (read === undefined) throw new Error("an adapter was read");
      const layout = modelLayout(config, vocabSize);
      const values = new Float32Array(layout.length);
      const facts = { vocabSize, chatTemplate, endTokens, ...(options.dtype && { dtype: options.dtype }) };
      const files = {
        ...pretrainedFiles(config, tokenizer, arrayReader(values), facts),
        ...mergedTextFiles(base, merged),
      };
      // Before the weights are read, which takes longer.
      const to = await replaceable("saveMerged", directory, Object.keys(files));
      await checkOther(to, path);
      const place = (part: Float32Array, offset: number): void => values.set(part, offset);
      await weights.read(layout, { place }, (bytes) => options.onProgress?.(bytes, weights.bytes));
      const own = { config: read.lora, layout: loraLayout(config, read.lora), read: arrayReader(read.values) };
      await addAdapter(config, layout, own, arrayReader(values), place);
      await writeCheckpoint(to, files);
      return { base: base.servedFrom(), parameters: layout.count };
    } finally {
      await weights.close();
    }
  } finally {
    await closeAdapters(opened);
  }
};
