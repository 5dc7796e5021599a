import { checkPath } from "../core/checks/check-arguments.ts";
import { writeCheckpoint } from "../io/checkpoint.node.ts";
import { replaceable } from "./files/replaceable.node.ts";
import { whileOpen } from "./model/closed.ts";
import type { LanguageModel } from "./model/language-model.ts";
import { filesToSave, modelToSave } from "./save.ts";

/**
 * Writes a model and its tokenizer as a Hugging Face directory with a manifest of the files' hashes, which
 * `loadPretrained` reads and checks. It replaces a checkpoint that is already there; a kill or an error leaves the old
 * one or the new one, never half.
 * @param directory created with its parents if it is missing.
 * @param lm a model of `loadPretrained` or `languageModel`.
 * @throws CheckpointError if the system refuses, the folder cannot be listed, or it has other files (an optimizer's
 *   moments beside a model, or a letter). Nothing is changed then.
 * @example
 * ```ts
 * import { loadPretrained, savePretrained } from "foretoken";
 *
 * const lm = await loadPretrained("runs/notes/best");
 * await savePretrained("models/notes", lm);
 * await lm.close();
 * ```
 */
export const savePretrained = async (directory: string, lm: LanguageModel): Promise<void> => {
  const files = filesToSave(modelToSave("savePretrained", lm));
  checkPath("savePretrained: directory", directory);
  await whileOpen("savePretrained", lm.model, async () => {
    const path = await replaceable("savePretrained", directory, Object.keys(files));
    await writeCheckpoint(path, files);
  });
};
