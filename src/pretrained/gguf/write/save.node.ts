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
import { bytesOfTensor, type GgufContents, ggufLength, ggufPieces } from "../../../io/gguf/write.ts";
import { checkFree, writeNewFile } from "../../../io/new-file.node.ts";
import { arrayReader, type ReadValues } from "../../../models/arena.ts";
import { loraLayout } from "../../../models/lora/layout.ts";
import {
  checkSource,
  type ModelSource,
  openSource,
  type SourceAdapter,
  type SourceOptions,
  sourceOptionNames,
} from "../../export/source.node.ts";
import { whileOpen } from "../../model/closed.ts";
import type { LanguageModel } from "../../model/language-model.ts";
import { modelToSave } from "../../save.ts";
import { type AdapterEncoding, adapterContents } from "../adapter/write.ts";
import { isGgufName } from "../open.node.ts";
import { type GgufFallback, modelFile, type PlannedFile, recodedFile } from "./contents.ts";
import { type EncodingChoice, type GgufEncoding, ggufEncodings } from "./encodings.ts";
import { type TextFacts, writtenEnds } from "./text.ts";

/** Options of `saveGguf`. */
export interface SaveGgufOptions extends Omit<SourceOptions, "onFetch"> {
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

/** How a file is written. */
export interface WritingGguf extends Omit<SaveGgufOptions, keyof SourceOptions> {
  /** Gets one line for the user. A promise is waited for. */
  readonly onNotice?: SourceOptions["onNotice"];
}

const checkOptions = (where: string, options: SaveGgufOptions): void => {
  const own = ["encoding", "embedding", "replace", "name", "signal", "onNotice", "onProgress"];
  checkKeys(where, options, [...own, ...sourceOptionNames]);
  checkSource(where, options);
  checkChoice(`${where}: encoding`, options.encoding, ggufEncodings);
  checkChoice(`${where}: embedding`, options.embedding, ggufEncodings);
  if (options.replace !== undefined) checkBoolean(`${where}: replace`, options.replace);
  if (options.name !== undefined) checkName(`${where}: name`, options.name);
  checkSignal(`${where}: signal`, options.signal);
  checkCallback(`${where}: onNotice`, options.onNotice);
  checkCallback(`${where}: onProgress`, options.onProgress);
};

/** @throws ConfigError for a name by which no command would take it for a GGUF file; CheckpointError for one that is taken. */
export const checkGgufPlace = async (file: string, replace: boolean): Promise<void> => {
  if (!isGgufName(file)) {
    throw new ConfigError({ where: file, must: "the name of a GGUF file must end with .gguf", got: basename(file) });
  }
  await checkFree(file, replace);
};

/** @throws CheckpointError for the model's own file, which is read while the new one is written. */
const checkOther = async (path: string, { base: { weightFiles }, adapter }: ModelSource): Promise<void> => {
  const place = await realpath(path).catch(() => undefined);
  const files = [...weightFiles.map((file) => file.path), ...(adapter === null ? [] : [adapter.where])];
  const own = await Promise.all(files.map((file) => realpath(file).catch(() => undefined)));
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
const choiceOf = ({ encoding = "f32", embedding }: WritingGguf): EncodingChoice => ({ encoding, embedding });

/** Bytes of all tensors. */
const bytesOf = ({ tensors }: GgufContents): number => tensors.reduce((sum, tensor) => sum + bytesOfTensor(tensor), 0);

/**
 * Writes a file, whole or not at all.
 * @param onEnd called when all was read, before the file has its name; the file is not there if it fails.
 */
const writeContents = async (
  path: string,
  contents: GgufContents,
  { replace = false, signal, onProgress }: WritingGguf,
  onEnd: () => Promise<void> = async () => {},
): Promise<void> => {
  const all = bytesOf(contents);
  const pieces = async function* () {
    for await (const piece of ggufPieces(contents, (bytes) => onProgress?.("write", bytes, all))) {
      signal?.throwIfAborted();
      yield piece;
    }
    await onEnd();
  };
  await writeNewFile(path, pieces(), replace);
};

const saved = (path: string, { contents, fallbacks, parameters }: PlannedFile, from: readonly string[]): SavedGguf => ({
  ...{ path: resolve(path), bytes: ggufLength(contents), parameters, from, fallbacks },
});

/** A GGUF file in another encoding, row by row. */
const recode = async ({ base }: ModelSource, path: string, options: WritingGguf): Promise<SavedGguf> => {
  const [file] = base.weightFiles;
  if (file === undefined) throw new Error("a GGUF file has weights");
  const source = await openFileSource(file.path, base.where, true);
  try {
    const found = await openGgufFile(source, base.where);
    const planned = recodedFile(found, choiceOf(options), base.where);
    await writeContents(path, planned.contents, options, () => source.end());
    return saved(path, planned, base.dtypes);
  } finally {
    await source.close();
  }
};

/**
 * The warning for an adapter that is merged into few bits, which round away what a short tuning has changed; undefined: they keep it.
 * Weights that were in blocks before lie on or near the levels of the new blocks, also of eight bits: so small changes are rounded back.
 */
const mergedInFewBits = ({ base, adapter }: ModelSource, encoding: GgufEncoding): string | undefined => {
  const wasInBlocks = base.dtypes.some((dtype) => dtype.startsWith("Q"));
  if (adapter === null || !(wasInBlocks ? /^q/u : /^q[45]/u).test(encoding)) return undefined;
  const why = wasInBlocks ? ` of a base in ${base.dtypes.filter((dtype) => dtype.startsWith("Q")).join(" and ")}` : "";
  const keeps = wasInBlocks ? "f16" : "q8_0";
  return `${adapter.where}: merged into weights of ${encoding}${why}, an adapter loses much of what it learned: ${keeps} keeps it (export --dtype ${keeps}, quantize --to ${keeps}), and so do the original file and the adapter alone (export --adapter-only)`;
};

/** Tells of ends of a text that the file has no room for. */
const noticeEnds = async (facts: TextFacts, onNotice: WritingGguf["onNotice"]): Promise<void> => {
  const { leftOut } = writtenEnds(facts);
  if (leftOut.length === 0) return;
  await onNotice?.(
    `${facts.where}: more than three tokens end a text, and a GGUF file has room for three: ${leftOut.join(", ")} left out`,
  );
};

/** What llama.cpp does with a model of exact GELU. */
const exactGelu = (model: string): string =>
  `${model}: has the exact GELU, and llama.cpp computes its tanh form for every model: its logits differ a little there, and not here`;

/** A model of a directory, or one with an adapter: its weights are read into memory first. */
const convert = async (source: ModelSource, path: string, options: WritingGguf): Promise<SavedGguf> => {
  const { facts, base, adapter } = source;
  const { name = nameOf(adapter?.where ?? base.where), signal, onNotice, onProgress } = options;
  let weights: ReadValues = arrayReader(new Float32Array(0));
  const choice = choiceOf(options);
  const planned = modelFile(facts, name, (offset, size) => weights(offset, size), choice);
  const { mlp } = facts.config;
  await noticeEnds(facts, onNotice);
  const coarse = mergedInFewBits(source, choice.encoding);
  if (coarse !== undefined) await onNotice?.(coarse);
  if (mlp.kind === "gelu" && mlp.approximate === "none") await onNotice?.(exactGelu(base.where));
  weights = await source.readWeights(signal, (bytes, all) => onProgress?.("read", bytes, all));
  await writeContents(path, planned.contents, options);
  return saved(path, planned, base.dtypes);
};

/**
 * Writes a model that is open as a GGUF file, with its adapter in its weights.
 * @throws as `saveGguf`
 */
export const writeGguf = async (path: string, source: ModelSource, options: WritingGguf): Promise<SavedGguf> => {
  await checkOther(path, source);
  const isGguf = source.base.weightFiles.some(({ name }) => isGgufName(name));
  return (isGguf && source.adapter === null ? recode : convert)(source, path, options);
};

/**
 * Writes an adapter alone as a GGUF file, which programs put on its model in llama.cpp's form.
 * @throws as `saveGguf`
 */
export const writeGgufAdapter = async (
  path: string,
  source: ModelSource,
  { lora, values, text, where }: SourceAdapter,
  encoding: AdapterEncoding,
  options: WritingGguf,
): Promise<SavedGguf> => {
  await checkOther(path, source);
  const { config } = source.facts;
  const { name = nameOf(where) } = options;
  const adapter = { config, lora, text, name, where, readValues: arrayReader(values) };
  const contents = adapterContents(adapter, encoding);
  await writeContents(path, contents, options);
  return saved(path, { contents, fallbacks: [], parameters: loraLayout(config, lora).count }, ["F32"]);
};

/** A model in memory. @throws ConfigError for one that is closed, or options about a model's place. */
const saveLoaded = async (
  where: string,
  path: string,
  lm: LanguageModel,
  options: SaveGgufOptions,
): Promise<SavedGguf> => {
  const { facts, readWeights } = modelToSave(where, lm);
  const about = sourceOptionNames.find((name) => options[name] !== undefined);
  if (about !== undefined) {
    throw new ConfigError({
      where: `${where}: ${about}`,
      must: "must go with the place of a model",
      got: "a loaded model",
      hint: "loadPretrained with an adapter, and mergeAdapter",
    });
  }
  const { name = nameOf(path) } = options;
  const planned = modelFile(facts, name, readWeights, choiceOf(options));
  await noticeEnds(facts, options.onNotice);
  await whileOpen(where, lm.model, () => writeContents(path, planned.contents, options));
  return saved(path, planned, ["F32"]);
};

/**
 * Writes a model as a GGUF file, version 3, with its tokenizer and chat template: for llama.cpp and for every place here that
 * takes a model. In an encoding of few bits a number (q8_0 to q4_k) the file is a half to a seventh of float32's; scales of
 * its blocks are fitted to the numbers by their squared error. A GGUF file's model keeps all metadata, and matrices that have the encoding
 * already are copied. Vectors stay float32. Weights of a directory are in memory as a whole, those of a GGUF file some rows at a time.
 * @param file the new file, ending with .gguf; missing folders are made. It is complete under its name, or not there.
 * @param model a model's directory, a GGUF file, or `hf:org/name`; or the folder of a LoRA adapter, which is merged into its model
 *   then. A run's weights are in its folders `best` and `checkpoint`. Or a model of `loadPretrained` or `languageModel`.
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
export const saveGguf = async (
  file: string,
  model: string | LanguageModel,
  options: SaveGgufOptions = {},
): Promise<SavedGguf> => {
  const where = "saveGguf";
  checkPath(`${where}: file`, file);
  if (typeof model === "string") checkName(`${where}: model`, model);
  checkOptions(where, options);
  // Before a model is fetched or read.
  await checkGgufPlace(file, options.replace ?? false);
  if (typeof model !== "string") return saveLoaded(where, file, model, options);
  const source = await openSource(model, options, where);
  try {
    return await writeGguf(file, source, options);
  } finally {
    await source.close();
  }
};
