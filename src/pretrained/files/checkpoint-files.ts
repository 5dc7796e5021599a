/** A checkpoint as its files in memory: where there is no folder, as in a page. */

import { memorySource } from "../../io/byte-source.ts";
import { type Binding, manifestName } from "../../io/manifest.ts";
import { checkManifest, hashInMemory, withManifest } from "../../io/manifest-in-memory.ts";
import { joinChunks } from "../../io/safetensors.ts";
import type { ReadValues } from "../../models/arena.ts";
import type { ModelConfig } from "../../models/config.ts";
import type { Tokenizer } from "../../tokenizer/tokenizer.ts";
import { configName, optionalNames, parseFacts, tokenizerName, weightsFileName } from "../parse.ts";
import type { Pretrained } from "../pretrained.ts";
import { pretrainedFiles, type SavedFacts } from "./pretrained-files.ts";
import { openWeights } from "./weights.ts";

/** The files that every checkpoint of ours has. */
export const pretrainedNames = [configName, weightsFileName, tokenizerName] as const;

/** A checkpoint's files by name: all files of `onCheckpoint`, or the ones that loading needs. */
export type CheckpointFiles = Readonly<Record<(typeof pretrainedNames)[number], Uint8Array>> &
  Readonly<Record<string, Uint8Array>>;

/** The files that loading reads. */
export const neededFiles = (files: CheckpointFiles): CheckpointFiles => {
  const names = [...pretrainedNames, ...optionalNames, manifestName].filter((name) => files[name] !== undefined);
  return Object.fromEntries(names.map((name) => [name, files[name]])) as CheckpointFiles;
};

/** Contents of files: texts, or pieces that are read one after the other. */
export type FileContents = Readonly<Record<string, string | AsyncIterable<Uint8Array>>>;

/** The bytes of a file. */
export const bytesOf = async (content: FileContents[string]): Promise<Uint8Array> => {
  if (typeof content === "string") return new TextEncoder().encode(content);
  const pieces: Uint8Array[] = [];
  for await (const piece of content) pieces.push(piece);
  return joinChunks(pieces);
};

/** Files in memory with their manifest. @param run that they are of; null: of none. */
export const filesInMemory = async (
  contents: FileContents,
  run: Binding | null = null,
): Promise<Readonly<Record<string, Uint8Array>>> => {
  const files: Record<string, Uint8Array> = {};
  for (const [name, content] of Object.entries(contents)) files[name] = await bytesOf(content);
  return withManifest(files, run);
};

/** The files of a Hugging Face directory with their manifest; weights in the layout of `modelLayout`. */
export const checkpointFiles = async (
  config: ModelConfig,
  tokenizer: Tokenizer,
  values: ReadValues,
  facts: SavedFacts = {},
): Promise<CheckpointFiles> =>
  (await filesInMemory(pretrainedFiles(config, tokenizer, values, facts))) as CheckpointFiles;

/**
 * Reads a checkpoint's files, which have been compared with their manifest.
 * @param where the checkpoint's name in errors.
 * @param checked whether there was one.
 * @throws CheckpointError naming the file and its fault.
 */
export const openFiles = async (files: CheckpointFiles, where: string, checked: boolean): Promise<Pretrained> => {
  const facts = await parseFacts(where, files);
  const place = `${where}/${weightsFileName}`;
  const weights = await openWeights([{ where: place, source: memorySource(files[weightsFileName]) }], facts, place);
  return { ...facts, checked, weights, sha256: () => hashInMemory(files[weightsFileName]) };
};

/**
 * Reads a checkpoint, and compares its files with the manifest among them, if there is one.
 * @param where the checkpoint's name in errors.
 * @throws CheckpointError naming the file and its fault.
 */
export const parseFiles = async (files: CheckpointFiles, where = "checkpoint"): Promise<Pretrained> => {
  const optional = optionalNames.filter((name) => name !== tokenizerName && files[name] !== undefined);
  await checkManifest(files, [...pretrainedNames, ...optional], where);
  return openFiles(files, where, files[manifestName] !== undefined);
};
