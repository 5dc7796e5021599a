import { joinChunks } from "../../io/safetensors.ts";
import { whileOpen } from "../model/closed.ts";
import type { LanguageModel } from "../model/language-model.ts";
import { checkArguments, type SaveOnnxOptions, where } from "./check.ts";
import { onnxFolder, sourceOf } from "./contents.ts";

/**
 * A model as the files that transformers.js and ONNX Runtime read, by their paths in its folder: `config.json`,
 * `generation_config.json`, the tokenizer's, and the graphs in `onnx/`. The page serves them, or stores them.
 * @param lm a model of `loadPretrained` or `languageModel`, with float32 weights and no adapter in use.
 * @throws ConfigError for a model without a class of `transformers`, such as one without a mask.
 * @example
 * ```ts
 * import { loadPretrained, saveOnnx, zipFolder } from "foretoken/browser";
 *
 * const lm = await loadPretrained("https://example.org/checkpoint");
 * const files = await saveOnnx(lm, { dtype: "int8" });
 * const archive = zipFolder(files, "notes");
 * await lm.close();
 * ```
 */
export const saveOnnx = async (
  lm: LanguageModel,
  options: SaveOnnxOptions = {},
): Promise<Readonly<Record<string, Uint8Array>>> => {
  checkArguments(lm, options);
  return whileOpen(where, lm.model, async () => {
    const files: Record<string, Uint8Array> = {};
    for (const [name, content] of Object.entries(onnxFolder(sourceOf(lm), where, options))) {
      const chunks: Uint8Array[] = [];
      for await (const piece of content.pieces()) chunks.push(piece);
      files[name] = joinChunks(chunks);
    }
    return files;
  });
};
