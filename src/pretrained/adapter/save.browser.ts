import { filesInMemory } from "../files/checkpoint-files.ts";
import { whileOpen } from "../model/closed.ts";
import type { LanguageModel } from "../model/language-model.ts";
import type { AdapterFiles } from "./opened.ts";
import { type SaveAdapterOptions, usedAdapterFiles } from "./save.ts";

/**
 * Returns the LoRA adapter that a model has in use, as files in PEFT's format. `loadPretrained` reads them, in pages
 * and in Node.
 * @param lm a model from `loadPretrained` or `languageModel`.
 * @param options the name of the base model.
 * @throws ConfigError if the model has no adapter in use.
 * @example
 * ```ts
 * import { loadPretrained, saveAdapter } from "foretoken/browser";
 *
 * const lm = await loadPretrained("https://example.org/model", { adapter: "https://example.org/adapter" });
 * const files = await saveAdapter(lm);
 * console.log(Object.keys(files));
 * await lm.close();
 * ```
 */
export const saveAdapter = async (lm: LanguageModel, options: SaveAdapterOptions = {}): Promise<AdapterFiles> => {
  const files = await usedAdapterFiles(lm, options);
  return whileOpen("saveAdapter", lm.model, async () => (await filesInMemory(files)) as AdapterFiles);
};
