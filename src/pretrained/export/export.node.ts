/** Exports a model in a format that other programs read. */
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
   * File format. hf: a Hugging Face directory, for transformers and PEFT. gguf: a file for llama.cpp, Ollama and LM
   * Studio. onnx: a folder for transformers.js and ONNX Runtime, as `saveOnnx` writes it.
   */
  readonly format: ExportFormatName;
  /**
   * Number format of the matrices. Default: f32. For hf: f32 or bf16. For gguf: f32, bf16, f16, q8_0, q6_k, q5_1, q5_0,
   * q5_k, q4_1, q4_0 or q4_k. For onnx: f32 or int8. For an adapter alone: f32, and for gguf also f16 and bf16.
   */
  readonly dtype?: ExportDType | undefined;
  /**
   * Whether to write the adapter alone, for programs that apply it to its base model themselves. If false, the adapter
   * is merged into the model's weights. Default: false.
   */
  readonly adapterOnly?: boolean | undefined;
  /** Whether an existing file or model folder with this name may be replaced. Default: false. */
  readonly replace?: boolean | undefined;
  /** Display name of the model in a GGUF file. Default: the last part of its path. */
  readonly name?: string | undefined;
  /** Cancels the export; then nothing is written. Default: none. */
  readonly signal?: AbortSignal | undefined;
  /**
   * Gets the number of bytes done so far and the total. The bytes are counted once while the model is read, and again
   * while the file is written. Default: none.
   */
  readonly onProgress?: ((phase: "read" | "write", bytes: number, all: number) => void) | undefined;
}

/** Facts about the written files. */
export interface Exported {
  /** The resolved path of the file or folder. */
  readonly path: string;
  /** The requested format. */
  readonly format: ExportFormatName;
  /** Number format of the matrices. */
  readonly dtype: ExportDType;
  /** Size in bytes of the file, or of all files of the folder except the manifest. */
  readonly bytes: number;
  /** Number of weights. For an adapter alone: number of the adapter's weights. */
  readonly parameters: number;
  /** Place of the model. If an adapter was exported, place of its base model. */
  readonly base: string;
  /** How the adapter was written; null if there was no adapter. */
  readonly adapter: "merged" | "alone" | null;
  /** Number formats of the source's matrices. */
  readonly from: readonly string[];
  /**
   * Matrices that were written in another number format. The row length of these matrices is not a multiple of the
   * chosen format's block size.
   */
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
 * Writes a model for other programs: as a Hugging Face directory, a GGUF file or an ONNX folder. A LoRA adapter is
 * merged into the weights or written alone. Sums for a merge are computed in double precision and rounded once. An
 * adapter alone is a PEFT folder, or a GGUF file for llama.cpp's `--lora`.
 * @param place the new file or folder. Missing parent folders are created. Writing is atomic: even after a kill, the
 * result is either complete or not there. A folder with other files is never changed.
 * @param model a model's directory, a GGUF file, `hf:org/name`, or an adapter's folder or GGUF file. A run's folder
 * stands for its best weights.
 * @throws CheckpointError for a model that is missing or damaged, or a name that is taken. Then nothing is written.
 * @throws ConfigError if the format cannot represent the model or its tokenizer. Then nothing is written.
 * @example
 * ```ts
 * import { exportModel } from "foretoken";
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
  // Check before a model is downloaded or read.
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
