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
   * Element type of the matrices: `float32` is `model.onnx`, which programs in Node take, and `int8` is
   * `model_quantized.onnx`, a quarter as large, which pages take. Default: a file of each.
   */
  readonly dtype?: OnnxDType | undefined;
  /** Ends the work, with nothing written. Default: none. */
  readonly signal?: AbortSignal | undefined;
  /** Gets the bytes written so far, and in all. Default: none. */
  readonly onProgress?: ((bytes: number, all: number) => void) | undefined;
}

/** The function that the user called, for errors. */
export const where = "saveOnnx";

/** @throws ConfigError for arguments that are none, or a model whose weights are not float32 or not its own alone. */
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
