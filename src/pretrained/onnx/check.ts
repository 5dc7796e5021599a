import {
  checkCallback,
  checkChoice,
  checkKeys,
  checkLanguageModel,
  checkSignal,
} from "../../core/checks/check-arguments.ts";
import { checkAllHeads, checkTrainable } from "../../models/model.ts";
import { checkNoAdapter } from "../adapter/check.ts";
import type { LanguageModel } from "../model/language-model.ts";
import { type OnnxDType, onnxDTypes } from "./transformer.ts";

/** Options of `saveOnnx`. */
export interface SaveOnnxOptions {
  /**
   * Number format of the matrices. "float32" writes `model.onnx`, which transformers.js loads by default in Node.
   * "int8" writes `model_quantized.onnx`, which transformers.js loads by default in pages. The int8 file has a quarter
   * of the size. Default: both files.
   */
  readonly dtype?: OnnxDType | undefined;
  /** Cancels the work; then nothing is written. Default: none. */
  readonly signal?: AbortSignal | undefined;
  /** Gets the number of bytes written so far and the total. Default: none. */
  readonly onProgress?: ((bytes: number, all: number) => void) | undefined;
}

/** Name of the public function, as errors show it. */
export const where = "saveOnnx";

/**
 * @throws ConfigError for invalid arguments. Also throws if the model has an adapter in use, has heads switched off, or
 * has no float32 weights.
 */
export const checkArguments = (lm: LanguageModel, options: SaveOnnxOptions): void => {
  checkLanguageModel(`${where}: model`, lm, "a model from loadPretrained");
  checkKeys(where, options, ["dtype", "signal", "onProgress"]);
  checkChoice(`${where}: dtype`, options.dtype, onnxDTypes);
  checkSignal(`${where}: signal`, options.signal);
  checkCallback(`${where}: onProgress`, options.onProgress);
  checkNoAdapter(`${where}: model`, lm);
  checkTrainable(`${where}: model`, lm.model);
  checkAllHeads(`${where}: model`, lm.model);
};
