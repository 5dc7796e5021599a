/** Writes a model as a GGUF file on disk, in a chosen encoding. */
import { open, realpath } from "node:fs/promises";
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
import { readInto } from "../../files/weights.ts";
import { whileOpen } from "../../model/closed.ts";
import type { LanguageModel } from "../../model/language-model.ts";
import { modelToSave } from "../../save.ts";
import { type AdapterEncoding, adapterContents } from "../adapter/write.ts";
import { isGgufName } from "../source.node.ts";
import { calibrateOn, checkComputing, computingNames, type GgufCalibration, writeAll } from "./calibrate.node.ts";
import { type Calibrated, calibrate, checkCalibration, checkQuantized } from "./calibrate.ts";
import { type GgufFallback, modelFile, type PlannedFile, recodedFile, type UsedGgufCalibration } from "./contents.ts";
import { type EncodingChoice, type GgufEncoding, ggufEncodings } from "./encodings.ts";
import { type TextFacts, writtenEnds } from "./text.ts";

/** Options of `saveGguf`. */
export interface SaveGgufOptions extends Omit<SourceOptions, "onFetch"> {
  /** Encoding of the matrices, by llama.cpp's name. Default: f32. */
  readonly encoding?: GgufEncoding | undefined;
  /**
   * Encoding of the token embedding and the head. Default: `encoding`. If `encoding` has fewer than eight bits, the
   * head uses q6_k by default, also if the embedding is the head.
   */
  readonly embedding?: GgufEncoding | undefined;
  /**
   * A text that decides which errors of the weights count most: errors of weights that are multiplied by large inputs.
   * The model reads the text once. Quantized encodings then lose less on texts of this kind. Default: none.
   */
  readonly calibration?: GgufCalibration | undefined;
  /** Whether an existing file with this name may be replaced. Default: false. */
  readonly replace?: boolean | undefined;
  /**
   * Display name of the model in the file. Default: the last part of the model's path. A model from a GGUF file keeps
   * its name.
   */
  readonly name?: string | undefined;
  /** Cancels the work; then nothing is written. Default: none. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Gets one line for the user, for example that files are not checked. If it returns a promise, the promise is
   * awaited.
   */
  readonly onNotice?: ((line: string) => void) | undefined;
  /**
   * Gets the number of bytes done so far and the total. The bytes are counted once while the model is read, and again
   * while the file is written. Default: none.
   */
  readonly onProgress?: ((phase: "read" | "write", bytes: number, all: number) => void) | undefined;
}

/** The file that was written. */
export interface SavedGguf {
  /** Resolved path of the file. */
  readonly path: string;
  /** Size of the file in bytes. */
  readonly bytes: number;
  /** Number of weights. */
  readonly parameters: number;
  /** Encodings of the source's tensors. */
  readonly from: readonly string[];
  /**
   * Matrices that were written in another encoding. The row length of these matrices is not a multiple of the chosen
   * encoding's block size.
   */
  readonly fallbacks: readonly GgufFallback[];
  /** How the calibration was used. Absent without a calibration. */
  readonly calibration?: UsedGgufCalibration;
}

/** Options for writing a file. */
export interface WritingGguf extends Omit<SaveGgufOptions, keyof SourceOptions> {
  /** Gets one line for the user. If it returns a promise, the promise is awaited. */
  readonly onNotice?: SourceOptions["onNotice"];
}

const checkOptions = (where: string, options: SaveGgufOptions): void => {
  const own = ["encoding", "embedding", "calibration", "replace", "name", "signal", "onNotice", "onProgress"];
  checkKeys(where, options, [...own, ...sourceOptionNames]);
  checkSource(where, options);
  checkChoice(`${where}: encoding`, options.encoding, ggufEncodings);
  checkChoice(`${where}: embedding`, options.embedding, ggufEncodings);
  if (options.calibration !== undefined) {
    checkCalibration(`${where}: calibration`, options.calibration, computingNames);
    checkComputing(`${where}: calibration`, options.calibration);
    checkQuantized(`${where}: calibration`, choiceOf(options));
  }
  if (options.replace !== undefined) checkBoolean(`${where}: replace`, options.replace);
  if (options.name !== undefined) checkName(`${where}: name`, options.name);
  checkSignal(`${where}: signal`, options.signal);
  checkCallback(`${where}: onNotice`, options.onNotice);
  checkCallback(`${where}: onProgress`, options.onProgress);
};

/** @throws CheckpointError for a file with other content than a GGUF file, because replacing it would lose the content. */
const checkReplaced = async (file: string): Promise<void> => {
  const handle = await open(file, "r").catch(() => undefined);
  if (handle === undefined) return;
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(4), 0, 4, 0);
    if (bytesRead === 0 || buffer.toString("latin1") === "GGUF") return;
  } finally {
    await handle.close();
  }
  throw new CheckpointError({
    where: file,
    must: "only a GGUF file may be overwritten",
    got: "another file",
    hint: "another name",
  });
};

/**
 * @throws ConfigError if the name does not end with `.gguf`, because no command would recognize the file.
 * @throws CheckpointError if the name is taken, or if the file to replace is no GGUF file.
 */
export const checkGgufPlace = async (file: string, replace: boolean): Promise<void> => {
  if (!isGgufName(file)) {
    throw new ConfigError({ where: file, must: "the name of a GGUF file must end with .gguf", got: basename(file) });
  }
  await checkFree(file, replace);
  if (replace) await checkReplaced(file);
};

/** @throws CheckpointError if the model or its adapter is read from the file `path`. */
const checkOther = async (path: string, { base: { weightFiles }, adapter }: ModelSource): Promise<void> => {
  const place = await realpath(path).catch(() => undefined);
  const files = [...weightFiles.map((file) => file.path), ...(adapter === null ? [] : [adapter.where])];
  const own = await Promise.all(files.map((file) => realpath(file).catch(() => undefined)));
  if (place === undefined || !own.includes(place)) return;
  throw new CheckpointError({
    where: path,
    must: "the file must not be the source model's own file",
    got: path,
    hint: "another name",
  });
};

/** Display name: the last part of a model's path, without `.gguf`. */
const nameOf = (path: string): string => basename(path).replace(/\.gguf$/iu, "");

const choiceOf = ({ encoding = "f32", embedding }: WritingGguf): EncodingChoice => ({ encoding, embedding });

/** Size of all tensors in bytes. */
const bytesOf = ({ tensors }: GgufContents): number => tensors.reduce((sum, tensor) => sum + bytesOfTensor(tensor), 0);

/**
 * Writes a file atomically.
 * @param onEnd called after all data was read and before the file gets its final name. If `onEnd` throws, the file is
 * not created.
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

type Planned = Omit<PlannedFile, "calibration"> & Partial<Pick<PlannedFile, "calibration">>;

const saved = (
  path: string,
  { contents, fallbacks, parameters, calibration }: Planned,
  from: readonly string[],
): SavedGguf => ({
  ...{ path: resolve(path), bytes: ggufLength(contents), parameters, from, fallbacks },
  ...(calibration === undefined ? {} : { calibration }),
});

/** Reports matrices that the calibration did not reach. */
const noticeWithout = async ({ calibration }: PlannedFile, { onNotice }: WritingGguf): Promise<void> => {
  const [first, ...others] = calibration?.without ?? [];
  if (first === undefined) return;
  const more = others.length === 0 ? "" : ` (and ${others.length} more)`;
  await onNotice?.(`${first}${more}: all inputs were 0 in the text of the calibration, so all columns count equally`);
};

/** Writes a GGUF file's model in another encoding, a few rows at a time. */
const recode = async ({ base }: ModelSource, path: string, options: WritingGguf): Promise<SavedGguf> => {
  const [file] = base.weightFiles;
  if (file === undefined) throw new Error("a GGUF file has weights");
  const source = await openFileSource(file.path, base.where, true);
  try {
    const found = await openGgufFile(source, base.where);
    const calibrated = await calibrateOn(base, (model) => readInto(model, base.weights), options);
    const planned = recodedFile(found, choiceOf(options), base.where, calibrated);
    await noticeWithout(planned, options);
    await writeContents(path, planned.contents, options, () => source.end());
    return saved(path, planned, base.dtypes);
  } finally {
    await source.close();
  }
};

/**
 * Warning for an adapter that is merged into weights of few bits, because rounding removes the changes of a short
 * fine-tuning. Undefined if the encoding keeps the changes. Base weights that were quantized before are on or near the
 * levels of the new blocks. For such weights, even eight bits round small changes away.
 */
const mergedInFewBits = ({ base, adapter }: ModelSource, encoding: GgufEncoding): string | undefined => {
  const wasInBlocks = base.dtypes.some((dtype) => dtype.startsWith("Q"));
  if (adapter === null || !(wasInBlocks ? /^q/u : /^q[45]/u).test(encoding)) return undefined;
  const why = wasInBlocks
    ? ` of a base model in ${base.dtypes.filter((dtype) => dtype.startsWith("Q")).join(" and ")}`
    : "";
  const keeps = wasInBlocks ? "f16" : "q8_0";
  return `${adapter.where}: an adapter that is merged into ${encoding} weights${why} may lose much of what it learned: \`foretoken evaluate FILE --data TEXT\` measures how much. To keep it, use ${keeps} (export --dtype ${keeps}, quantize --to ${keeps}), or the original file with the adapter alone (export --adapter-only). To keep most of it in fewer bits, merge it, then quantize the merged model with --calibrate, to another encoding than the base's`;
};

/** Reports end tokens that the file has no fields for. */
const noticeEnds = async (facts: TextFacts, onNotice: WritingGguf["onNotice"]): Promise<void> => {
  const { leftOut } = writtenEnds(facts);
  if (leftOut.length === 0) return;
  await onNotice?.(
    `${facts.where}: has more than three end tokens, but a GGUF file can hold only three; left out: ${leftOut.join(", ")}`,
  );
};

/** Notice for a model with the exact GELU. llama.cpp does not compute the exact GELU. */
const exactGelu = (model: string): string =>
  `${model}: uses the exact GELU, but llama.cpp always computes the tanh approximation, so logits in llama.cpp differ a little`;

/** Writes the model of a directory, or a model with an adapter. All weights are first read into memory. */
const convert = async (source: ModelSource, path: string, options: WritingGguf): Promise<SavedGguf> => {
  const { facts, base, adapter } = source;
  const { name = nameOf(adapter?.where ?? base.where), signal, onNotice, onProgress } = options;
  let weights: ReadValues = arrayReader(new Float32Array(0));
  const choice = choiceOf(options);
  const planFile = (calibrated?: Calibrated): PlannedFile =>
    modelFile(facts, name, (offset, size) => weights(offset, size), choice, calibrated);
  // Check before all weights are read.
  planFile();
  const { mlp } = facts.config;
  await noticeEnds(facts, onNotice);
  const coarse = mergedInFewBits(source, choice.encoding);
  if (coarse !== undefined) await onNotice?.(coarse);
  if (mlp.kind === "gelu" && mlp.approximate === "none") await onNotice?.(exactGelu(base.where));
  weights = await source.readWeights(signal, (bytes, all) => onProgress?.("read", bytes, all));
  const planned = planFile(await calibrateOn(facts, (model) => writeAll(model, weights), options));
  await noticeWithout(planned, options);
  await writeContents(path, planned.contents, options);
  return saved(path, planned, base.dtypes);
};

/**
 * Writes an opened model as a GGUF file, with its adapter merged.
 * @throws as `saveGguf`
 */
export const writeGguf = async (path: string, source: ModelSource, options: WritingGguf): Promise<SavedGguf> => {
  await checkOther(path, source);
  const isGguf = source.base.weightFiles.some(({ name }) => isGgufName(name));
  return (isGguf && source.adapter === null ? recode : convert)(source, path, options);
};

/**
 * Writes an adapter alone as a GGUF file. llama.cpp and programs based on it can apply the adapter to its base model.
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

/**
 * Writes a model that is in memory. @throws ConfigError if the model is closed. Also throws for an option that is
 * allowed only with a model's path or name.
 */
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
      must: "must be used only if the model is a path or a name",
      got: "a loaded model",
      hint: "loadPretrained with an adapter, then mergeAdapter",
    });
  }
  const { name = nameOf(path), calibration, signal } = options;
  const computing = computingNames.find((option) => calibration?.[option] !== undefined);
  if (computing !== undefined) {
    throw new ConfigError({
      where: `${where}: calibration.${computing}`,
      must: "must be used only if the model is a path or a name",
      got: "a loaded model, which has a backend",
    });
  }
  modelFile(facts, name, readWeights, choiceOf(options));
  const calibrated = calibration && (await calibrate(lm.model, lm.tokenizer, calibration, `${where}: model`, signal));
  const planned = modelFile(facts, name, readWeights, choiceOf(options), calibrated);
  await noticeEnds(facts, options.onNotice);
  await noticeWithout(planned, options);
  await whileOpen(where, lm.model, () => writeContents(path, planned.contents, options));
  return saved(path, planned, ["F32"]);
};

/**
 * Writes a model as a GGUF file, version 3, with its tokenizer and chat template. llama.cpp and Foretoken can read the
 * file. In a quantized encoding (q8_0 to q4_k), the file is two to seven times smaller than in float32. The scale of
 * each block minimizes the squared error of the block's values. Vectors stay float32. A model from a GGUF file keeps
 * its metadata, and matrices that already have the encoding are copied. The weights of a directory must all fit in
 * memory. The weights of a GGUF file are read a few rows at a time.
 * @param file the new file, ending with .gguf. Missing folders are created. Writing is atomic: the file is either
 * complete or not there.
 * @param model a model's directory, a GGUF file, `hf:org/name`, or a model from `loadPretrained` or `languageModel`.
 * For the folder of a LoRA adapter, the adapter is merged into its base model. A run's folder stands for its best
 * weights.
 * @throws CheckpointError for a model that is missing or damaged, or a name that is taken. Nothing is written then.
 * @throws ConfigError if llama.cpp does not support the model or its tokenizer. Nothing is written then.
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
  // Check before a model is downloaded or read.
  await checkGgufPlace(file, options.replace ?? false);
  if (typeof model !== "string") return saveLoaded(where, file, model, options);
  const source = await openSource(model, options, where);
  try {
    return await writeGguf(file, source, options);
  } finally {
    await source.close();
  }
};
