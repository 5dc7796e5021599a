import { checkLanguageModel } from "../core/checks/check-arguments.ts";
import { arenaReader } from "../models/arena.ts";
import { checkAllHeads, checkTrainable } from "../models/model.ts";
import { checkNoAdapter } from "./adapter/check.ts";
import { type CheckpointFiles, checkpointFiles } from "./files/checkpoint-files.ts";
import { whileOpen } from "./model/closed.ts";
import type { LanguageModel } from "./model/language-model.ts";

/**
 * A model and its tokenizer as the files of a Hugging Face directory, which `loadPretrained` reads, here and in Node.
 * @param lm a model of `loadPretrained` or `languageModel`.
 * @throws ConfigError for a model without a class of `transformers`, such as one without a mask.
 * @example
 * ```ts
 * import { loadPretrained, savePretrained } from "foretoken/browser";
 *
 * const lm = await loadPretrained("https://example.org/checkpoint");
 * const files = await savePretrained(lm);
 * console.log(Object.keys(files));
 * await lm.close();
 * ```
 */
export const savePretrained = async (lm: LanguageModel): Promise<CheckpointFiles> => {
  checkLanguageModel("savePretrained: model", lm, "a model from loadPretrained");
  checkNoAdapter("savePretrained: model", lm);
  checkTrainable("savePretrained: model", lm.model);
  checkAllHeads("savePretrained: model", lm.model);
  const { model, tokenizer, endTokens, chatTemplate } = lm;
  const facts = { vocabSize: model.vocabSize, endTokens, chatTemplate };
  return whileOpen("savePretrained", model, () =>
    checkpointFiles(model.config, tokenizer, arenaReader(model.backend, model.arena), facts),
  );
};
