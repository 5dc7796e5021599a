import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { checkPath } from "../../core/checks/check-arguments.ts";
import { CheckpointError } from "../../core/errors/errors.ts";
import { systemErrorCode } from "../../core/errors/system-error.ts";
import { writeCheckpoint } from "../../io/checkpoint.node.ts";
import { replaceable } from "../files/replaceable.node.ts";
import { whileOpen } from "../model/closed.ts";
import type { LanguageModel } from "../model/language-model.ts";
import { checkArguments, type SaveOnnxOptions, where } from "./check.ts";
import { graphFolder, isGraphName, type OnnxSource, onnxFolder, sourceOf } from "./contents.ts";

/** The folder that `saveOnnx` wrote. */
export interface SavedOnnx {
  /** The folder's resolved path. */
  readonly path: string;
  /** Sizes in bytes of the folder's files, by their paths in the folder. */
  readonly files: Readonly<Record<string, number>>;
}

/** @throws CheckpointError if there is already a folder of graphs and it contains other files. */
const checkGraphs = async (path: string, directory: string): Promise<void> => {
  const entries = await readdir(join(path, graphFolder)).catch((error: unknown) => {
    if (systemErrorCode(error) === "ENOENT") return [];
    throw error;
  });
  const other = entries.find((entry) => !isGraphName(entry));
  if (other === undefined) return;
  throw new CheckpointError({
    where: directory,
    must: "the folder must be new, empty or contain only an earlier ONNX model",
    got: `a folder that contains ${JSON.stringify(`${graphFolder}/${other}`)}`,
    hint: "another folder",
  });
};

/**
 * Writes a model's folder. Weights are read only after all checks.
 * @param caller the called function, for errors.
 * @param replace whether an existing model with this name may be replaced.
 * @throws as `saveOnnx`.
 */
export const writeOnnx = async (
  directory: string,
  source: OnnxSource,
  caller: string,
  options: SaveOnnxOptions,
  replace = true,
): Promise<SavedOnnx> => {
  const folder = onnxFolder(source, caller, options);
  const names = Object.keys(folder).map((name) => name.split("/")[0] ?? name);
  const path = await replaceable(caller, directory, names);
  await checkGraphs(path, directory);
  const contents = Object.entries(folder).map(([name, { pieces }]) => [name, pieces()] as const);
  try {
    await writeCheckpoint(path, Object.fromEntries(contents), { isNew: !replace, shown: directory });
  } catch (error) {
    // Throw the signal's own reason, not the write error that the abort caused.
    options.signal?.throwIfAborted();
    throw error;
  }
  return { path, files: Object.fromEntries(Object.entries(folder).map(([name, { length }]) => [name, length])) };
};

/**
 * Writes a model as a folder for transformers.js and ONNX Runtime: `config.json`, `generation_config.json`, the
 * tokenizer's files, and graphs in `onnx/`. The inputs of a graph are a text and, for each layer, the keys and values
 * of the previous text. Graphs use only ONNX's default operators (version 17). In `model.onnx`, all numbers are
 * float32. In `model_quantized.onnx`, each row of a matrix and each row of activations is rounded to eight bits with
 * its own scale. An existing folder of this kind is replaced atomically: after a kill or an error, either the complete
 * old folder or the complete new folder exists.
 * @param directory created with its parents if it is missing.
 * @param lm a model from `loadPretrained` or `languageModel`, with float32 weights and no adapter in use.
 * @throws ConfigError if `transformers` has no class for the model, for example a model without a causal mask. Nothing
 * is changed then.
 * @throws CheckpointError if the operating system refuses to write, or the folder has other files. Nothing is changed
 * then.
 * @example
 * ```ts
 * import { loadPretrained, saveOnnx } from "foretoken";
 * const lm = await loadPretrained("runs/notes/best");
 * await saveOnnx("models/notes-onnx", lm, { dtype: "int8" });
 * await lm.close();
 * ```
 */
export const saveOnnx = async (
  directory: string,
  lm: LanguageModel,
  options: SaveOnnxOptions = {},
): Promise<SavedOnnx> => {
  checkPath(`${where}: directory`, directory);
  checkArguments(lm, options);
  return whileOpen(where, lm.model, () => writeOnnx(directory, sourceOf(lm), where, options));
};
