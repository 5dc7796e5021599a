/** Names of a checkpoint's files, and which of the files loading needs. */
import { manifestName } from "../../io/manifest.ts";

/** File names. */
export const configName = "config.json";
export const tokenizerName = "tokenizer.json";
export const weightsFileName = "model.safetensors";
export const indexName = "model.safetensors.index.json";

/** Text files in addition to the tokenizer: chat template, BOS and end tokens. */
export const textFileNames = ["tokenizer_config.json", "chat_template.jinja", "generation_config.json"] as const;

/** Files that are read if they exist. */
export const optionalNames = [tokenizerName, ...textFileNames, indexName] as const;

/** Names of the files that the chat template may be in. */
export const templateFileNames = ["tokenizer_config.json", "chat_template.jinja"] as const;

/** Names of the files that every checkpoint of Foretoken has. */
export const pretrainedNames = [configName, weightsFileName, tokenizerName] as const;

/** Files of a checkpoint by name: all files that `onCheckpoint` gets, or only the files that loading needs. */
export type CheckpointFiles = Readonly<Record<(typeof pretrainedNames)[number], Uint8Array>> &
  Readonly<Record<string, Uint8Array>>;

/** Keeps only the files that loading reads. */
export const neededFiles = (files: CheckpointFiles): CheckpointFiles => {
  const names = [...pretrainedNames, ...optionalNames, manifestName].filter((name) => files[name] !== undefined);
  return Object.fromEntries(names.map((name) => [name, files[name]])) as CheckpointFiles;
};
