/** Puts an opened model and its adapters into a backend's memory. */
import type { Backend } from "../../backend/backend.ts";
import type { ModelConfig } from "../../models/config.ts";
import type { Model } from "../../models/model.ts";
import type { OpenedAdapters } from "../adapter/opened.ts";
import { type LanguageModel, languageModel } from "../model/language-model.ts";
import type { Pretrained } from "../pretrained.ts";
import { type Keeping, placeModel } from "./weights.ts";

/** Options for placing a model. */
interface Placing extends Keeping {
  /** Called once, after the weights are freed. */
  readonly onClose?: (() => Promise<void>) | undefined;
  /** Gets the number of bytes read so far. */
  readonly onProgress?: ((bytes: number) => void) | undefined;
}

/**
 * Reads adapters and returns a function that places them. The code for adapters is imported only for a model with
 * adapters.
 */
const readAdapters = async (
  config: ModelConfig,
  opened: OpenedAdapters,
): Promise<(base: Model) => Readonly<Record<string, Model>>> => {
  if (opened.size === 0) return () => ({});
  const { placeAdapters, readAdapters: read } = await import("../adapter/load.ts");
  const adapters = await read(config, opened);
  return (base) => placeAdapters(base, adapters);
};

/**
 * Puts a model and its adapters into a backend's memory and closes their files.
 * @throws CheckpointError for damaged or unsuitable weights or adapters; the memory is freed then.
 */
export const placeLanguageModel = async (
  backend: Backend,
  pretrained: Pretrained,
  opened: OpenedAdapters,
  { freeze, keepBlocks, onClose, onProgress }: Placing,
): Promise<LanguageModel> => {
  const { config, tokenizer, chatTemplate, endTokens, weights } = pretrained;
  // Read the adapters first, because they are small. If an adapter does not fit, the error comes before the weights are
  // read.
  const place = await readAdapters(config, opened).catch(async (error: unknown) => {
    await weights.close();
    throw error;
  });
  const model = await placeModel(backend, pretrained, { freeze, keepBlocks }, onProgress);
  try {
    const adapters = place(model);
    return languageModel(model, tokenizer, onClose, { chatTemplate, endTokens, adapters });
  } catch (error) {
    model.close();
    throw error;
  }
};
