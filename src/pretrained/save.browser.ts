import { checkLanguageModel } from "../core/check-arguments.ts";
import { withManifest } from "../io/manifest.browser.ts";
import { joinChunks } from "../io/safetensors.ts";
import { arenaReader, type ReadValues } from "../models/arena.ts";
import type { ModelConfig } from "../models/config.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import { whileOpen } from "./closed.ts";
import type { LanguageModel } from "./language-model.ts";
import type { CheckpointFiles } from "./load.browser.ts";
import { pretrainedFiles } from "./pretrained-files.ts";

const bytesOf = async (content: string | AsyncIterable<Uint8Array>): Promise<Uint8Array> => {
  if (typeof content === "string") return new TextEncoder().encode(content);
  const pieces: Uint8Array[] = [];
  for await (const piece of content) pieces.push(piece);
  return joinChunks(pieces);
};

/** The files of a Hugging Face directory with their manifest, in memory; weights in the layout of `modelLayout`. */
export const checkpointFiles = async (
  config: ModelConfig,
  tokenizer: Tokenizer,
  values: ReadValues,
): Promise<CheckpointFiles> => {
  const files: Record<string, Uint8Array> = {};
  for (const [name, content] of Object.entries(pretrainedFiles(config, tokenizer, values))) {
    files[name] = await bytesOf(content);
  }
  return (await withManifest(files)) as CheckpointFiles;
};

/**
 * A model and its tokenizer as the files of a Hugging Face directory, which `loadPretrained` reads, here and in Node.
 * @throws ConfigError for a model without a class of `transformers`, such as one without a mask.
 */
export const savePretrained = async (lm: LanguageModel): Promise<CheckpointFiles> => {
  checkLanguageModel("savePretrained: model", lm, "a model from loadPretrained");
  const { model, tokenizer } = lm;
  return whileOpen("savePretrained", model, () =>
    checkpointFiles(model.config, tokenizer, arenaReader(model.backend, model.arena)),
  );
};
