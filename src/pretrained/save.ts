/** Checks a loaded model before it is saved, and collects the facts for its files. */
import { checkChatTemplate, checkLanguageModel } from "../core/checks/check-arguments.ts";
import { arenaReader, type ReadValues } from "../models/arena.ts";
import { checkAllHeads, checkTrainable } from "../models/model.ts";
import { checkNoAdapter } from "./adapter/check.ts";
import type { FileContents } from "./files/checkpoint-files.ts";
import { pretrainedFiles } from "./files/pretrained-files.ts";
import type { LanguageModel } from "./model/language-model.ts";
import type { Pretrained } from "./pretrained.ts";

/** A loaded model to be saved. */
export interface ModelToSave {
  readonly facts: Omit<Pretrained, "weights" | "sha256" | "checked">;
  /** Reads weights in the layout of `modelLayout`. */
  readonly readWeights: ReadValues;
}

/**
 * @param where the called function, for errors.
 * @throws ConfigError for a model with an adapter in use, without float32 weights, or with heads switched off.
 */
export const modelToSave = (where: string, lm: LanguageModel): ModelToSave => {
  const place = `${where}: model`;
  checkLanguageModel(place, lm, "a model from loadPretrained");
  checkNoAdapter(place, lm);
  checkTrainable(place, lm.model);
  checkAllHeads(place, lm.model);
  const { model, tokenizer, endTokens, chatTemplate } = lm;
  checkChatTemplate(`${place}.chatTemplate`, chatTemplate);
  const { config, vocabSize, backend, arena } = model;
  return {
    facts: { where: place, config, vocabSize, tokenizer, endTokens, chatTemplate },
    readWeights: arenaReader(backend, arena),
  };
};

/** The files of a Hugging Face directory. @throws ConfigError if `transformers` has no class for the model. */
export const filesToSave = ({ facts, readWeights }: ModelToSave): FileContents => {
  const { config, tokenizer, vocabSize, endTokens, chatTemplate } = facts;
  return pretrainedFiles(config, tokenizer, readWeights, { vocabSize, endTokens, chatTemplate });
};
