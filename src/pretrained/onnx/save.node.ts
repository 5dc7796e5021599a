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
  /** Its path, resolved. */
  readonly path: string;
  /** Its files by their paths in it, with their lengths in bytes. */
  readonly files: Readonly<Record<string, number>>;
}

/** @throws CheckpointError if an earlier folder of graphs has files of somebody else. */
const checkGraphs = async (path: string, directory: string): Promise<void> => {
  const entries = await readdir(join(path, graphFolder)).catch((error: unknown) => {
    if (systemErrorCode(error) === "ENOENT") return [];
    throw error;
  });
  const other = entries.find((entry) => !isGraphName(entry));
  if (other === undefined) return;
  throw new CheckpointError({
    where: directory,
    must: "the folder must be new, empty or an earlier model of ONNX and nothing else",
    got: `a folder with ${JSON.stringify(`${graphFolder}/${other}`)} in it`,
    hint: "another folder",
  });
};

/**
 * Writes the folder of a model. The weights are read when all that can be refused was looked at.
 * @param caller the called function, for errors. @param replace whether an earlier model of that name may be replaced.
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
    // Its own reason, not that of a disk that refuses.
    options.signal?.throwIfAborted();
    throw error;
  }
  return { path, files: Object.fromEntries(Object.entries(folder).map(([name, { length }]) => [name, length])) };
};

/**
 * Writes a model as a folder that transformers.js and ONNX Runtime read: `config.json`, `generation_config.json`, the
 * tokenizer's files, and graphs in `onnx/`. They take a text and, for each layer, the keys and values of the text before it,
 * and have operators of ONNX' default domain alone (version 17). In `model.onnx` all numbers are float32. In
 * `model_quantized.onnx` each row of a matrix, and each row of activations, is rounded to eight bits with a scale of its own.
 * It replaces such a folder that is already there; a kill or an error leaves the old one or the new one, never half.
 * @param directory created with its parents if it is missing.
 * @param lm a model of `loadPretrained` or `languageModel`, with float32 weights and no adapter in use.
 * @throws ConfigError for a model without a class of `transformers`, such as one without a mask; CheckpointError if the system
 *   refuses, or the folder has other files. Nothing is changed then.
 * @example
 * ```ts
 * import { loadPretrained, saveOnnx } from "foretoken";
 *
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
