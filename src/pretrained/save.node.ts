import { checkLanguageModel, checkPath } from "../core/checks/check-arguments.ts";
import { writeCheckpoint } from "../io/checkpoint.node.ts";
import { arenaReader } from "../models/arena.ts";
import { checkAllHeads, checkTrainable } from "../models/model.ts";
import { checkNoAdapter } from "./adapter/check.ts";
import { pretrainedFiles } from "./files/pretrained-files.ts";
import { replaceable } from "./files/replaceable.node.ts";
import { whileOpen } from "./model/closed.ts";
import type { LanguageModel } from "./model/language-model.ts";

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
  checkLanguageModel("savePretrained: model", lm, "a model from loadPretrained");
  checkNoAdapter("savePretrained: model", lm);
  checkTrainable("savePretrained: model", lm.model);
  checkAllHeads("savePretrained: model", lm.model);
  checkPath("savePretrained: directory", directory);
  const { model, tokenizer, endTokens, chatTemplate } = lm;
  const files = pretrainedFiles(model.config, tokenizer, arenaReader(model.backend, model.arena), {
    vocabSize: model.vocabSize,
    endTokens,
    chatTemplate,
  });
  await whileOpen("savePretrained", model, async () => {
    const path = await replaceable("savePretrained", directory, Object.keys(files));
    await writeCheckpoint(path, files);
  });
};
