import { checkPath } from "../../core/checks/check-arguments.ts";
import { writeCheckpoint } from "../../io/checkpoint.node.ts";
import { replaceable } from "../files/replaceable.node.ts";
import { whileOpen } from "../model/closed.ts";
import type { LanguageModel } from "../model/language-model.ts";
import { hashOfBase } from "./base/find.node.ts";
import { adapterBase } from "./open.node.ts";
import { type SaveAdapterOptions, usedAdapterFiles } from "./save.ts";

/**
 * Writes the LoRA adapter that a model has in use, in PEFT's format, with a manifest of the files' hashes.
 * `loadPretrained` and `peft.PeftModel.from_pretrained` read these files. An existing adapter is replaced atomically:
 * after a kill or an error, either the complete old adapter or the complete new adapter exists.
 * @param directory created with its parents if it is missing.
 * @param lm a model from `loadPretrained` or `languageModel`.
 * @param options the name of the base model.
 * @throws CheckpointError if the operating system refuses to write, or the folder has other files.
 * @throws ConfigError if the model has no adapter in use.
 * @example
 * ```ts
 * import { loadPretrained, saveAdapter } from "foretoken";
 * const lm = await loadPretrained("runs/notes/best", { adapter: "runs/letters/best" });
 * await saveAdapter("adapters/letters", lm, { base: "../../runs/notes/best" });
 * await lm.close();
 * ```
 */
export const saveAdapter = async (
  directory: string,
  lm: LanguageModel,
  options: SaveAdapterOptions = {},
): Promise<void> => {
  checkPath("saveAdapter: directory", directory);
  const files = await usedAdapterFiles(lm, options, async (base) => {
    const named = adapterBase(base);
    return { ...named, sha256: await hashOfBase(directory, named) };
  });
  await whileOpen("saveAdapter", lm.model, async () => {
    const path = await replaceable("saveAdapter", directory, Object.keys(files));
    await writeCheckpoint(path, files);
  });
};
