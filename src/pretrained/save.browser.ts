import { filesInMemory } from "./files/checkpoint-files.ts";
import type { CheckpointFiles } from "./files/names.ts";
import { whileOpen } from "./model/closed.ts";
import type { LanguageModel } from "./model/language-model.ts";
import { filesToSave, modelToSave } from "./save.ts";

/**
 * Returns a model and its tokenizer as the files of a Hugging Face directory. `loadPretrained` reads them, in pages and
 * in Node.
 * @param lm a model from `loadPretrained` or `languageModel`.
 * @throws ConfigError if `transformers` has no class for the model, for example a model without a causal mask.
 * @example
 * ```ts
 * import { loadPretrained, savePretrained } from "foretoken/browser";
 *
 * const lm = await loadPretrained("https://example.org/checkpoint");
 * const files = await savePretrained(lm);
 * console.log(Object.keys(files));
 * await lm.close();
 * ```
 */
export const savePretrained = async (lm: LanguageModel): Promise<CheckpointFiles> => {
  const files = filesToSave(modelToSave("savePretrained", lm));
  return whileOpen("savePretrained", lm.model, async () => (await filesInMemory(files)) as CheckpointFiles);
};
