import { checkPath } from "../../core/checks/check-arguments.ts";
import { writeCheckpoint } from "../../io/checkpoint.node.ts";
import { replaceable } from "../files/replaceable.node.ts";
import { whileOpen } from "../model/closed.ts";
import type { LanguageModel } from "../model/language-model.ts";
import { hashOfBase } from "./base/find.node.ts";
import { adapterBase } from "./open.node.ts";
import { type SaveAdapterOptions, usedAdapterFiles } from "./save.ts";

/**
 * Writes the LoRA adapter that a model has in use, in PEFT's form with a manifest of the files' hashes: `loadPretrained` and
 * `peft.PeftModel.from_pretrained` read it. It replaces an adapter that is already there; a kill or an error leaves the old
 * one or the new one, never half.
 * @param directory created with its parents if it is missing.
 * @param lm a model of `loadPretrained` or `languageModel`.
 * @param options the name of the model that the adapter is for.
 * @throws CheckpointError if the system refuses, or the folder has other files; ConfigError for a model without an adapter in
 *   use.
 * @example
 * ```ts
 * import { loadPretrained, saveAdapter } from "foretoken";
 *
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
