/** A model as other programs read it. */
import { resolve } from "node:path";
import {
  checkBoolean,
  checkCallback,
  checkChoice,
  checkKeys,
  checkName,
  checkPath,
  checkSignal,
} from "../../core/checks/check-arguments.ts";
import { ConfigError } from "../../core/errors/errors.ts";
import { alternatives } from "../../core/text/alternatives.ts";
import type { GgufFallback } from "../gguf/write/contents.ts";
import {
  chooseForm,
  type ExportDType,
  type ExportFormatName,
  exportDtypes,
  formatNames,
  formats,
} from "./formats.node.ts";
import { checkSource, openSource, type SourceOptions, sourceOptionNames } from "./source.node.ts";

/** Options of `exportModel`. */
export interface ExportOptions extends Omit<SourceOptions, "onFetch"> {
  /**
   * hf: a directory of Hugging Face's form, for transformers and PEFT. gguf: a file for llama.cpp, Ollama and LM Studio. onnx: a folder
   * for transformers.js and ONNX Runtime, as `saveOnnx` writes it.
   */
  readonly format: ExportFormatName;
  /**
   * Element type of the matrices: f32, the default, or bf16; of gguf also f16, q8_0, q6_k, q5_1, q5_0, q5_k, q4_1, q4_0 and q4_k; of
   * onnx f32 or int8. Of an adapter alone: f32, and of gguf also f16 and bf16.
   */
  readonly dtype?: ExportDType | undefined;
  /**
   * Whether an adapter is written alone, for programs that put it on its model themselves. Default false: it becomes a part of
   * the model's weights.
   */
  readonly adapterOnly?: boolean | undefined;
  /** Whether an earlier file, or an earlier model's folder, of that name may be replaced. Default false. */
  readonly replace?: boolean | undefined;
  /** Name of the model in a GGUF file, for people. Default: the last part of its path. */
  readonly name?: string | undefined;
  /** Ends the work, with nothing written. Default: none. */
  readonly signal?: AbortSignal | undefined;
  /** Gets the bytes of the model that were read, then those of the file that were written, and all of them. Default: none. */
  readonly onProgress?: ((phase: "read" | "write", bytes: number, all: number) => void) | undefined;
}

/** What was written. */
export interface Exported {
  /** The file or the folder, resolved. */
  readonly path: string;
  /** The format that was asked for. */
  readonly format: ExportFormatName;
  /** Element type of the matrices. */
  readonly dtype: ExportDType;
  /** Length of the file, or of all files of the folder but for the manifest. */
  readonly bytes: number;
  /** Number of weights; of an adapter alone, of its own. */
  readonly parameters: number;
  /** The place of the model: where an adapter was named, of the model that it is for. */
  readonly base: string;
  /** What became of the adapter; null: the model has none. */
  readonly adapter: "merged" | "alone" | null;
  /** Element types of the matrices that were read. */
  readonly from: readonly string[];
  /** Matrices whose rows do not divide into the blocks of the element type, with the one that they have instead. */
  readonly fallbacks: readonly GgufFallback[];
}

const where = "exportModel";

const checkOptions = (options: ExportOptions): void => {
  const own = ["format", "dtype", "adapterOnly", "replace", "name", "signal", "onNotice", "onProgress"];
  checkKeys(where, options, [...own, ...sourceOptionNames]);
  if (options.format === undefined) {
    throw new ConfigError({ where: `${where}: format`, must: `must be ${alternatives(formatNames)}`, got: "none" });
  }
  checkChoice(`${where}: format`, options.format, formatNames);
  checkSource(where, options);
  checkChoice(`${where}: dtype`, options.dtype, exportDtypes);
  if (options.adapterOnly !== undefined) checkBoolean(`${where}: adapterOnly`, options.adapterOnly);
  if (options.replace !== undefined) checkBoolean(`${where}: replace`, options.replace);
  if (options.name !== undefined) checkName(`${where}: name`, options.name);
  checkSignal(`${where}: signal`, options.signal);
  checkCallback(`${where}: onNotice`, options.onNotice);
  checkCallback(`${where}: onProgress`, options.onProgress);
};

/**
 * Writes a model for other programs: as a directory of Hugging Face's form, a GGUF file, or an ONNX folder. A LoRA adapter becomes a part of
 * the weights (sums in double precision, rounded once), or is written alone: as PEFT's folder, or as a GGUF file that
 * llama.cpp takes with `--lora`.
 * @param place the new file or folder; missing folders above it are made. It is whole under its name, or not there, also
 *   after a kill. A folder with other files is never touched.
 * @param model a model's directory, a GGUF file, `hf:org/name`, or an adapter's folder or GGUF file. A run's weights are in its
 *   folders `best` and `checkpoint`.
 * @throws CheckpointError for a model that is missing or damaged, or a name that is taken; ConfigError for a model or a tokenizer
 *   that the format has no form of, by name. Nothing is written then.
 * @example
 * ```ts
 * import { exportModel } from "foretoken";
 *
 * const { bytes } = await exportModel("notes.gguf", "runs/notes/best", { format: "gguf", dtype: "q8_0" });
 * await exportModel("models/notes", "runs/notes/best", { format: "hf", dtype: "bf16" });
 * console.log(bytes);
 * ```
 */
export const exportModel = async (place: string, model: string, options: ExportOptions): Promise<Exported> => {
  checkPath(`${where}: place`, place);
  checkName(`${where}: model`, model);
  checkOptions(options);
  const { format, replace = false, adapterOnly = false, name, signal, onNotice, onProgress } = options;
  const { dtype, write } = chooseForm(format, options.dtype, adapterOnly, where);
  // Before a model is fetched or read.
  await formats[format].check(place, replace);
  const source = await openSource(model, options, where);
  try {
    const { base, adapter } = source;
    const written = await write(place, source, { where, replace, name, signal, onNotice, onProgress });
    return {
      ...{ path: resolve(place), format, dtype },
      ...{ bytes: written.bytes, parameters: written.parameters, base: base.servedFrom() },
      adapter: adapter === null ? null : adapterOnly ? "alone" : "merged",
      ...{ from: base.dtypes, fallbacks: written.fallbacks },
    };
  } finally {
    await source.close();
  }
};
