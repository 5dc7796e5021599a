import { checkChoice, checkKeys, checkName } from "../../../core/checks/check-arguments.ts";
import { ggufPieces } from "../../../io/gguf/write.ts";
import { whileOpen } from "../../model/closed.ts";
import type { LanguageModel } from "../../model/language-model.ts";
import { modelToSave } from "../../save.ts";
import { type Calibrated, calibrate, checkCalibration, checkQuantized, type GgufCalibrationText } from "./calibrate.ts";
import { modelFile } from "./contents.ts";
import { type GgufEncoding, ggufEncodings } from "./encodings.ts";

/** Options of `saveGguf`. */
export interface SaveGgufOptions {
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
  readonly calibration?: GgufCalibrationText | undefined;
  /** Display name of the model in the file. Default: "model". */
  readonly name?: string | undefined;
}

/**
 * Returns a model as a GGUF file, version 3, with its tokenizer and chat template. Foretoken, llama.cpp and programs
 * based on llama.cpp can read the file. Vectors stay float32. Matrices are read and encoded one at a time.
 * @param lm a model from `loadPretrained` or `languageModel`, without an adapter in use.
 * @returns the file, ready to be downloaded or stored.
 * @throws ConfigError if llama.cpp does not support the model or its tokenizer.
 * @example
 * ```ts
 * import { loadPretrained, saveGguf } from "foretoken/browser";
 *
 * const lm = await loadPretrained("https://example.org/checkpoint");
 * const file = await saveGguf(lm, { encoding: "q8_0" });
 * console.log(file.size, URL.createObjectURL(file));
 * await lm.close();
 * ```
 */
export const saveGguf = async (lm: LanguageModel, options: SaveGgufOptions = {}): Promise<Blob> => {
  const where = "saveGguf";
  const { facts, readWeights } = modelToSave(where, lm);
  checkKeys(where, options, ["encoding", "embedding", "calibration", "name"]);
  const { encoding = "f32", embedding, calibration, name = "model" } = options;
  checkChoice(`${where}: encoding`, encoding, ggufEncodings);
  checkChoice(`${where}: embedding`, embedding, ggufEncodings);
  checkName(`${where}: name`, name);
  if (calibration !== undefined) {
    checkCalibration(`${where}: calibration`, calibration);
    checkQuantized(`${where}: calibration`, { encoding, embedding });
  }
  const planWith = (calibrated?: Calibrated) =>
    modelFile(facts, name, readWeights, { encoding, embedding }, calibrated).contents;
  let contents = planWith();
  if (calibration !== undefined) {
    contents = planWith(await calibrate(lm.model, lm.tokenizer, calibration, `${where}: model`));
  }
  return whileOpen(where, lm.model, async () => {
    const parts: Blob[] = [];
    // Turn each piece into a blob, because the browser may keep a blob outside the page's memory.
    for await (const piece of ggufPieces(contents)) parts.push(new Blob([piece as Uint8Array<ArrayBuffer>]));
    return new Blob(parts, { type: "application/octet-stream" });
  });
};
