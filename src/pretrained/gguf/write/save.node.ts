/** A model as a GGUF file on the disk, in an encoding of one's choice. */
import { realpath } from "node:fs/promises";
import { basename, resolve } from "node:path";
import {
  checkBoolean,
  checkCallback,
  checkChoice,
  checkKeys,
  checkName,
  checkPath,
  checkSignal,
} from "../../../core/checks/check-arguments.ts";
import { CheckpointError, ConfigError } from "../../../core/errors/errors.ts";
import { openFileSource } from "../../../io/file-source.node.ts";
import { openGgufFile } from "../../../io/gguf/gguf.ts";
import { bytesOfTensor, ggufLength, ggufPieces } from "../../../io/gguf/write.ts";
import { checkFree, writeNewFile } from "../../../io/new-file.node.ts";
import { modelLayout } from "../../../models/model.ts";
import type { OpenedPretrained } from "../../files/directory.node.ts";
import { noticeUnchecked, openPretrained } from "../../open.node.ts";
import { isGgufName } from "../open.node.ts";
import { type GgufFallback, type HostWeights, modelFile, type PlannedFile, recodedFile } from "./contents.ts";
import { type EncodingChoice, type GgufEncoding, ggufEncodings } from "./encodings.ts";

/** Options of `saveGguf`. */
export interface SaveGgufOptions {
  /** Encoding of the matrices, by llama.cpp's name. Default f32. */
  readonly encoding?: GgufEncoding | undefined;
  /**
   * Encoding of the token embedding and the head. Default: for f32, f16, bf16 and q8_0 the same; else q6_k for the head, and
   * for an embedding that is the head, too.
   */
  readonly embedding?: GgufEncoding | undefined;
  /** Whether a file of that name may be replaced. Default false. */
  readonly replace?: boolean | undefined;
  /** Name of the model in the file, for people. Default: the last part of its path. A GGUF file's model keeps its own. */
  readonly name?: string | undefined;
  /** Ends the work, with nothing written. Default: none. */
  readonly signal?: AbortSignal | undefined;
  /** Gets one line for the user, such as that files are unchecked. A promise is waited for. */
  readonly onNotice?: ((line: string) => void) | undefined;
  /** Gets the bytes of the model that were read, then those of the file that were written, and all of them. Default: none. */
  readonly onProgress?: ((phase: "read" | "write", bytes: number, all: number) => void) | undefined;
}

/** The file that was written. */
export interface SavedGguf {
  /** Its path, resolved. */
  readonly path: string;
  /** Its length. */
  readonly bytes: number;
  /** Number of weights. */
  readonly parameters: number;
  /** Encodings of the source's tensors. */
  readonly from: readonly string[];
  /** Matrices whose rows do not divide into the blocks of their encoding, with the one that they have instead. */
  readonly fallbacks: readonly GgufFallback[];
}

const where = "saveGguf";

const checkOptions = (options: SaveGgufOptions): void => {
  checkKeys(where, options, ["encoding", "embedding", "replace", "name", "signal", "onNotice", "onProgress"]);
  checkChoice(`${where}: encoding`, options.encoding, ggufEncodings);
  checkChoice(`${where}: embedding`, options.embedding, ggufEncodings);
  if (options.replace !== undefined) checkBoolean(`${where}: replace`, options.replace);
  if (options.name !== undefined) checkName(`${where}: name`, options.name);
  checkSignal(`${where}: signal`, options.signal);
  checkCallback(`${where}: onNotice`, options.onNotice);
  checkCallback(`${where}: onProgress`, options.onProgress);
};

/** @throws ConfigError for a name by which no command would take it for a GGUF file. */
const checkFileName = (file: string): void => {
  if (isGgufName(file)) return;
  throw new ConfigError({ where: file, must: "the name of a GGUF file must end with .gguf", got: basename(file) });
};

/** @throws CheckpointError for the model's own file, which is read while the new one is written. */
const checkOther = async (path: string, { weightFiles }: OpenedPretrained): Promise<void> => {
  const place = await realpath(path).catch(() => undefined);
  const own = await Promise.all(weightFiles.map((file) => realpath(file.path).catch(() => undefined)));
  if (place === undefined || !own.includes(place)) return;
  throw new CheckpointError({
    where: path,
    must: "the file must not be the model's own",
    got: path,
    hint: "another name",
  });
};

/** The last part of a model's path, without an ending: for people. */
const nameOf = (path: string): string => basename(path).replace(/\.gguf$/iu, "");

/** The encodings of a file's matrices. */
const choiceOf = ({ encoding = "f32", embedding }: SaveGgufOptions): EncodingChoice => ({ encoding, embedding });

/**
 * Writes the file of `planned`, and says what was written.
 * @param onEnd called when all was read, before the file has its name; the file is not there if it fails.
 */
const write = async (
  path: string,
  { contents, fallbacks, parameters }: PlannedFile,
  from: readonly string[],
  { replace = false, signal, onProgress }: SaveGgufOptions,
  onEnd: () => Promise<void> = async () => {},
): Promise<SavedGguf> => {
  const all = contents.tensors.reduce((sum, tensor) => sum + bytesOfTensor(tensor), 0);
  const pieces = async function* () {
    for await (const piece of ggufPieces(contents, (bytes) => onProgress?.("write", bytes, all))) {
      signal?.throwIfAborted();
      yield piece;
    }
    await onEnd();
  };
  await writeNewFile(path, pieces(), replace);
  return { path: resolve(path), bytes: ggufLength(contents), parameters, from, fallbacks };
};

/** A GGUF file in another encoding, row by row. */
const recode = async (opened: OpenedPretrained, path: string, options: SaveGgufOptions): Promise<SavedGguf> => {
  const [file] = opened.weightFiles;
  if (file === undefined) throw new Error("a GGUF file has weights");
  const source = await openFileSource(file.path, opened.where, true);
  try {
    const found = await openGgufFile(source, opened.where);
    const planned = recodedFile(found, choiceOf(options), opened.where);
    return await write(path, planned, opened.dtypes, options, () => source.end());
  } finally {
    await source.close();
  }
};

/** What llama.cpp does with a model of exact GELU. */
const exactGelu = (model: string): string =>
  `${model}: has the exact GELU, and llama.cpp computes its tanh form for every model: its logits differ a little there, and not here`;

/** A model of a directory: its weights are read into memory first. */
const convert = async (opened: OpenedPretrained, path: string, options: SaveGgufOptions): Promise<SavedGguf> => {
  const { config, vocabSize, weights } = opened;
  const { length } = modelLayout(config, vocabSize);
  const narrow = opened.dtypes.every((dtype) => dtype === "BF16");
  const values: HostWeights = narrow ? new Uint16Array(length) : new Float32Array(length);
  const { name = nameOf(opened.where), signal, onNotice, onProgress } = options;
  const planned = modelFile(opened, name, values, choiceOf(options));
  const { mlp } = config;
  if (mlp.kind === "gelu" && mlp.approximate === "none") await onNotice?.(exactGelu(opened.where));
  const keep = (part: HostWeights, offset: number): void => {
    signal?.throwIfAborted();
    // Words where the array is of words: then all weights of the files are.
    values.set(part, offset);
  };
  const target = narrow ? { place: keep, placeWords: keep } : { place: keep };
  await weights.read(modelLayout(config, vocabSize), target, (bytes) => onProgress?.("read", bytes, weights.bytes));
  return write(path, planned, opened.dtypes, options);
};

/**
 * Writes a model as a GGUF file, version 3, with its tokenizer and chat template: for llama.cpp and for every place here that
 * takes a model. In an encoding of few bits a number (q8_0 to q4_k) the file is a half to a seventh of float32's; scales of
 * its blocks are fitted to the numbers by their squared error. A GGUF file's model keeps all metadata, and matrices that have the encoding
 * already are copied. Vectors stay float32. Weights of a directory are in memory as a whole, those of a GGUF file some rows at a time.
 * @param file the new file, ending with .gguf; missing folders are made. It is complete under its name, or not there.
 * @param model a model's directory, a GGUF file, or `hf:org/name`. A run's weights are in its folders `best` and `checkpoint`.
 * @throws CheckpointError for a model that is missing or damaged, or a name that is taken; ConfigError for a model or a
 *   tokenizer that llama.cpp has no form of. Nothing is written then.
 * @example
 * ```ts
 * import { saveGguf } from "foretoken";
 *
 * const { bytes } = await saveGguf("notes-q8_0.gguf", "runs/notes/best", { encoding: "q8_0" });
 * console.log(bytes);
 * ```
 */
export const saveGguf = async (file: string, model: string, options: SaveGgufOptions = {}): Promise<SavedGguf> => {
  checkPath(`${where}: file`, file);
  checkName(`${where}: model`, model);
  checkOptions(options);
  checkFileName(file);
  // Before a model is fetched or read.
  await checkFree(file, options.replace ?? false);
  const opened = await openPretrained(model, { onNotice: options.onNotice });
  try {
    await noticeUnchecked(opened, model, options.onNotice);
    await checkOther(file, opened);
    const isGguf = opened.weightFiles.some(({ name }) => isGgufName(name));
    return await (isGguf ? recode : convert)(opened, file, options);
  } finally {
    await opened.weights.close();
  }
};
