import { joinChunks } from "../../io/safetensors.ts";
import { whileOpen } from "../model/closed.ts";
import type { LanguageModel } from "../model/language-model.ts";
import { checkArguments, type SaveOnnxOptions, where } from "./check.ts";
import { onnxFolder, sourceOf } from "./contents.ts";

/**
 * Returns a model as files for transformers.js and ONNX Runtime, by their paths in the model's folder. The files are
 * `config.json`, `generation_config.json`, the tokenizer's files, and the graphs in `onnx/`. The page can serve or
 * store them.
 * @param lm a model from `loadPretrained` or `languageModel`, with float32 weights and no adapter in use.
 * @throws ConfigError if `transformers` has no class for the model, for example a model without a causal mask.
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
