import { checkChoice, checkKeys, checkName } from "../../../core/checks/check-arguments.ts";
import { ggufPieces } from "../../../io/gguf/write.ts";
import { whileOpen } from "../../model/closed.ts";
import type { LanguageModel } from "../../model/language-model.ts";
import { modelToSave } from "../../save.ts";
import { modelFile } from "./contents.ts";
import { type GgufEncoding, ggufEncodings } from "./encodings.ts";

/** Options of `saveGguf`. */
export interface SaveGgufOptions {
  /** Encoding of the matrices, by llama.cpp's name. Default f32. */
  readonly encoding?: GgufEncoding | undefined;
  /**
   * Encoding of the token embedding and the head. Default: for f32, f16, bf16 and q8_0 the same; else q6_k for the head, and
   * for an embedding that is the head, too.
   */
  readonly embedding?: GgufEncoding | undefined;
  /** Name of the model in the file, for people. Default "model". */
  readonly name?: string | undefined;
}

/**
 * A model as a GGUF file, version 3, with its tokenizer and chat template: for llama.cpp and what stands on it, and for every
 * place here that takes a model. Vectors stay float32. Matrices are read and encoded one after the other.
 * @param lm a model of `loadPretrained` or `languageModel`, without an adapter in use.
 * @returns the file, to be downloaded or kept.
 * @throws ConfigError for a model or a tokenizer that llama.cpp has no form of.
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
  checkKeys(where, options, ["encoding", "embedding", "name"]);
  const { encoding = "f32", embedding, name = "model" } = options;
  checkChoice(`${where}: encoding`, encoding, ggufEncodings);
  checkChoice(`${where}: embedding`, embedding, ggufEncodings);
  checkName(`${where}: name`, name);
  const { contents } = modelFile(facts, name, readWeights, { encoding, embedding });
  return whileOpen(where, lm.model, async () => {
    const parts: Blob[] = [];
    // A blob of each: the browser may keep it outside of the page's memory.
    for await (const piece of ggufPieces(contents)) parts.push(new Blob([piece as Uint8Array<ArrayBuffer>]));
    return new Blob(parts, { type: "application/octet-stream" });
  });
};
