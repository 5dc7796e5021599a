import { checkPath } from "../core/checks/check-arguments.ts";
import { writeCheckpoint } from "../io/checkpoint.node.ts";
import { replaceable } from "./files/replaceable.node.ts";
import { whileOpen } from "./model/closed.ts";
import type { LanguageModel } from "./model/language-model.ts";
import { filesToSave, modelToSave } from "./save.ts";

/**
 * Writes a model and its tokenizer as a Hugging Face directory with a manifest of the files' hashes. `loadPretrained`
 * reads the directory and compares it with the manifest. An existing checkpoint is replaced atomically: after a kill or
 * an error, either the complete old checkpoint or the complete new checkpoint exists.
 * @param directory created with its parents if it is missing.
 * @param lm a model from `loadPretrained` or `languageModel`.
 * @throws CheckpointError if the operating system refuses to write, or if the folder cannot be listed. Also throws if
 * the folder contains other files, for example an optimizer's moments or a letter. Nothing is changed then.
 * @example
 * ```ts
 * import { loadPretrained, savePretrained } from "foretoken";
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
