import { z } from "zod";
import type { Backend } from "../backend/backend.ts";
import { CheckpointError } from "../core/errors.ts";
import { jsonLimits } from "../core/json.ts";
import { readSafetensors } from "../io/safetensors.ts";
import { type ModelConfig, modelConfigSchema } from "../models/config.ts";
import { fromHuggingFace } from "../models/hugging-face/hugging-face.ts";
import { createModel, type Model, modelLayout } from "../models/model.ts";
import { loadTokenizer } from "../tokenizer/registry.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import { checkFormatVersion, checkJson, parseJson } from "./checkpoint-json.ts";

const foretokenSection = z.object({
  formatVersion: z.int().positive(),
  model: modelConfigSchema,
});
const configJson = z.object({ vocab_size: z.int().positive(), foretoken: foretokenSection });

/** The files that `parsePretrained` takes. */
export const pretrainedNames = ["config.json", "model.safetensors", "tokenizer.json"] as const;

/** A checkpoint on the host. */
export interface Pretrained {
  readonly config: ModelConfig;
  readonly tokenizer: Tokenizer;
  /** In the layout of `modelLayout`. */
  readonly values: Float32Array;
}

/**
 * Checks the files of a checkpoint from `directory`, which errors name.
 * @throws CheckpointError naming the file and its fault.
 */
export const parsePretrained = (
  directory: string,
  files: Readonly<Record<(typeof pretrainedNames)[number], Uint8Array>>,
): Pretrained => {
  const at = (name: (typeof pretrainedNames)[number]): string => `${directory}/${name}`;
  const raw = parseJson(files["config.json"], at("config.json"));
  if (typeof raw === "object" && raw !== null && !("foretoken" in raw)) {
    throw new CheckpointError({
      where: at("config.json"),
      must: "the checkpoint must have been written by foretoken",
      got: 'no "foretoken" section',
      hint: "a directory that foretoken train wrote",
    });
  }
  const version = z.object({ foretoken: z.object({ formatVersion: z.int() }) }).safeParse(raw);
  if (version.success) checkFormatVersion(version.data.foretoken.formatVersion, at("config.json"));
  const json = checkJson(configJson, raw, at("config.json"));
  const config = json.foretoken.model;
  const vocabulary = parseJson(files["tokenizer.json"], at("tokenizer.json"), jsonLimits.tokenizer);
  const tokenizer = loadTokenizer(vocabulary, at("tokenizer.json"));
  if (tokenizer.vocabSize !== json.vocab_size) {
    throw new CheckpointError({
      where: at("tokenizer.json"),
      must: `the tokenizer must have the ${json.vocab_size} tokens of config.json`,
      got: String(tokenizer.vocabSize),
    });
  }
  const { tensors } = readSafetensors(files["model.safetensors"], at("model.safetensors"));
  const layout = modelLayout(config, tokenizer.vocabSize);
  const values = fromHuggingFace(config, layout, tensors, at("model.safetensors"));
  return { config, tokenizer, values };
};

/** Writes the checkpoint into a backend's memory. */
export const placeModel = (backend: Backend, { config, tokenizer, values }: Pretrained): Model => {
  const model = createModel(backend, config, tokenizer.vocabSize);
  backend.write(model.arena.storage, values);
  return model;
};
