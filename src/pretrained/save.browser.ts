import { readTensor } from "../autograd/tensor.ts";
import { checkLanguageModel } from "../core/check-arguments.ts";
import { joinChunks } from "../io/safetensors.ts";
import type { ModelConfig } from "../models/config.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import type { LanguageModel } from "./language-model.ts";
import type { CheckpointFiles } from "./load.browser.ts";
import { pretrainedFiles } from "./pretrained-files.ts";

/** The files of a Hugging Face directory, in memory; weights in the layout of `modelLayout`. */
export const checkpointFiles = (config: ModelConfig, tokenizer: Tokenizer, values: Float32Array): CheckpointFiles => {
  const files = Object.entries(pretrainedFiles(config, tokenizer, values)).map(([name, content]) => [
    name,
    typeof content === "string" ? new TextEncoder().encode(content) : joinChunks(content),
  ]);
  return Object.fromEntries(files) as CheckpointFiles;
};

/**
 * A model and its tokenizer as the files of a Hugging Face directory, which `loadPretrained` reads, here and in Node.
 * @throws ConfigError for a model that has no name there, as one without a mask.
 */
export const savePretrained = async (lm: LanguageModel): Promise<CheckpointFiles> => {
  checkLanguageModel("savePretrained: model", lm);
  const { model, tokenizer } = lm;
  const { storage } = model.arena;
  const values = await readTensor(model.backend, { storage, offset: 0, shape: [storage.length] });
  return checkpointFiles(model.config, tokenizer, Float32Array.from(values));
};
