import { readdir } from "node:fs/promises";
import { readTensor } from "../autograd/tensor.ts";
import { checkLanguageModel, checkPath } from "../core/check-arguments.ts";
import { CheckpointError } from "../core/errors.ts";
import { writeCheckpoint } from "../io/checkpoint.node.ts";
import type { LanguageModel } from "./language-model.ts";
import { pretrainedFiles } from "./pretrained-files.ts";

/** A checkpoint is replaced whole: what else there is in its folder would be lost. */
const checkReplaceable = async (directory: string, names: readonly string[]): Promise<void> => {
  const entries = await readdir(directory).catch((): string[] => []);
  const other = entries.find((entry) => !names.includes(entry));
  if (other === undefined) return;
  throw new CheckpointError({
    where: directory,
    must: "the folder must be new, empty or an earlier checkpoint and nothing else",
    got: `a folder with ${JSON.stringify(other)} in it`,
    hint: "another folder",
  });
};

/**
 * Writes a model and its tokenizer as a Hugging Face directory, which `loadPretrained` reads. It takes the place of a
 * checkpoint that is there already; a kill or an error leaves the old one or the new one, never half.
 * @param directory made where it is missing, with its parents.
 * @throws CheckpointError when the system refuses, or the folder holds something else (as an optimizer's moments beside
 *   a model). Nothing is changed then.
 */
export const savePretrained = async (directory: string, lm: LanguageModel): Promise<void> => {
  checkLanguageModel("savePretrained: model", lm);
  const { model, tokenizer } = lm;
  checkPath("savePretrained: directory", directory);
  const { storage } = model.arena;
  const values = await readTensor(model.backend, { storage, offset: 0, shape: [storage.length] });
  const files = pretrainedFiles(model.config, tokenizer, Float32Array.from(values));
  await checkReplaceable(directory, Object.keys(files));
  await writeCheckpoint(directory, files);
};
