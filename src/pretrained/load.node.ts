import type { Backend } from "../backend/backend.ts";
import { type BackendChoice, openBackend } from "../backend/select.node.ts";
import type { DTypeChoice } from "../core/dtype.ts";
import { readCheckpoint } from "../io/checkpoint.node.ts";
import { manifestName } from "../io/manifest.ts";
import { checkLoad } from "./check-load.ts";
import { type LanguageModel, languageModel } from "./language-model.ts";
import { type Pretrained, parsePretrained, placeModel, pretrainedNames } from "./parse.ts";

/**
 * Reads a checkpoint directory and compares its files with its manifest, without opening a backend.
 * @throws CheckpointError naming the file and its fault.
 */
export const readPretrained = async (directory: string): Promise<Pretrained & { readonly checked: boolean }> => {
  const { files, manifest } = await readCheckpoint(directory, pretrainedNames);
  return { ...parsePretrained(directory, files), checked: manifest !== null };
};

/** Notice for a checkpoint without a manifest. */
export const uncheckedNotice = (directory: string): string =>
  `${directory}: unchecked, since it has no ${manifestName}: damage to its files would not be noticed`;

/** Options of `loadPretrained`. */
export interface LoadOptions {
  /** An opened backend (yours to close), or the name of one (closed with the model). Default "auto". */
  readonly backend?: Backend | BackendChoice | undefined;
  /** Threads of a backend opened here; default: all cores. */
  readonly threads?: number | undefined;
  /** Dtype of a backend opened here: float32, the default, for logits to the last digit; auto for speed. */
  readonly dtype?: DTypeChoice | undefined;
  /**
   * Gets one line for the user: that there is no manifest, so that damage would not be noticed. A promise is waited for.
   */
  readonly onNotice?: ((line: string) => void) | undefined;
}

/**
 * A language model from a checkpoint directory. Its files are compared with the SHA-256 in `manifest.json`, while they
 * are read; a directory without one, of an earlier version or of another program, loads unchecked, and `onNotice` says
 * so.
 * @throws CheckpointError for a missing, damaged or foreign checkpoint; UnsupportedKernelError for a missing backend.
 */
export const loadPretrained = async (directory: string, options: LoadOptions = {}): Promise<LanguageModel> => {
  checkLoad(directory, options);
  const pretrained = await readPretrained(directory);
  if (!pretrained.checked) await options.onNotice?.(uncheckedNotice(directory));
  const { backend = "auto", threads, dtype } = options;
  if (typeof backend !== "string") return languageModel(placeModel(backend, pretrained), pretrained.tokenizer);
  const opened = await openBackend(backend, { threads, dtype });
  try {
    return languageModel(placeModel(opened, pretrained), pretrained.tokenizer, () => opened.close());
  } catch (error) {
    await opened.close();
    throw error;
  }
};
