/** A checkpoint as files in memory, for example in a page, which has no folders. */

import { memorySource } from "../../io/byte-source.ts";
import { type Binding, manifestName } from "../../io/manifest.ts";
import { checkManifest, hashInMemory, withManifest } from "../../io/manifest-in-memory.ts";
import { joinChunks } from "../../io/safetensors.ts";
import type { ReadValues } from "../../models/arena.ts";
import type { ModelConfig } from "../../models/config.ts";
import type { Tokenizer } from "../../tokenizer/tokenizer.ts";
import { parseFacts } from "../parse.ts";
import type { Pretrained } from "../pretrained.ts";
import { type CheckpointFiles, optionalNames, pretrainedNames, tokenizerName, weightsFileName } from "./names.ts";
import { pretrainedFiles, type SavedFacts } from "./pretrained-files.ts";
import { openWeights } from "./weights.ts";

/** Contents of files: each file is a string, or pieces of bytes that are read in order. */
export type FileContents = Readonly<Record<string, string | AsyncIterable<Uint8Array>>>;

export const bytesOf = async (content: FileContents[string]): Promise<Uint8Array> => {
  if (typeof content === "string") return new TextEncoder().encode(content);
  const pieces: Uint8Array[] = [];
  for await (const piece of content) pieces.push(piece);
  return joinChunks(pieces);
};

/**
 * Returns the files in memory, with a manifest. @param run the run that the files belong to; null if there is no run.
 */
export const filesInMemory = async (
  contents: FileContents,
  run: Binding | null = null,
): Promise<Readonly<Record<string, Uint8Array>>> => {
  const files: Record<string, Uint8Array> = {};
  for (const [name, content] of Object.entries(contents)) files[name] = await bytesOf(content);
  return withManifest(files, run);
};

/**
 * The files of a Hugging Face directory with a manifest.
 * @param values reads weights in the layout of `modelLayout`.
 */
export const checkpointFiles = async (
  config: ModelConfig,
  tokenizer: Tokenizer,
  values: ReadValues,
  facts: SavedFacts = {},
): Promise<CheckpointFiles> =>
  (await filesInMemory(pretrainedFiles(config, tokenizer, values, facts))) as CheckpointFiles;

/**
 * Reads a checkpoint's files. The caller has already compared the files with their manifest.
 * @param where the checkpoint's name in errors.
 * @param checked whether there was a manifest.
 * @throws CheckpointError with the file and the problem.
 */
export const openFiles = async (files: CheckpointFiles, where: string, checked: boolean): Promise<Pretrained> => {
  const facts = await parseFacts(where, files);
  const place = `${where}/${weightsFileName}`;
  const weights = await openWeights([{ where: place, source: memorySource(files[weightsFileName]) }], facts, place);
  return { ...facts, checked, weights, sha256: () => hashInMemory(files[weightsFileName]) };
};

/**
 * Reads a checkpoint's files. If the files include a manifest, the other files are compared with it.
 * @param where the checkpoint's name in errors.
 * @throws CheckpointError with the file and the problem.
 */
export const parseFiles = async (files: CheckpointFiles, where = "checkpoint"): Promise<Pretrained> => {
  const optional = optionalNames.filter((name) => name !== tokenizerName && files[name] !== undefined);
  await checkManifest(files, [...pretrainedNames, ...optional], where);
  return openFiles(files, where, files[manifestName] !== undefined);
};
