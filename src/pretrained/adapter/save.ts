/** Turns the adapter that a model has in use into files in PEFT's format. */
import { checkKeys, checkLanguageModel, checkName } from "../../core/checks/check-arguments.ts";
import { ConfigError } from "../../core/errors/errors.ts";
import { arenaReader } from "../../models/arena.ts";
import type { LanguageModel } from "../model/language-model.ts";
import { notedBaseHash } from "./base/noted-hash.ts";
import type { AdapterBase } from "./config.ts";
import { adapterFiles } from "./write.ts";

/** Options of `saveAdapter`. */
export interface SaveAdapterOptions {
  /**
   * Name of the base model in the adapter's files: an absolute path, a path relative to the adapter's folder, or a name
   * on the hub. Default: no name. Without a name, the user must name the base model to load the adapter.
   */
  readonly base?: string | undefined;
}

/**
 * Returns the files of the adapter in use. Write them together. If the adapter was loaded, the files keep the hash of
 * the weights that it was trained on.
 * @param name turns `options.base` into the fields that name the base model.
 * @throws ConfigError if the model has no adapter in use.
 */
export const usedAdapterFiles = async (
  lm: LanguageModel,
  options: SaveAdapterOptions,
  name: (base: string) => AdapterBase | Promise<AdapterBase> = (base) => ({ name: base }),
): Promise<Record<string, string | AsyncIterable<Uint8Array>>> => {
  checkLanguageModel("saveAdapter: model", lm, "a model from loadPretrained");
  checkKeys("saveAdapter", options, ["base"]);
  const { base } = options;
  if (base !== undefined) checkName("saveAdapter: base", base);
  const { adapter, backend, config } = lm.model;
  if (adapter === null) {
    throw new ConfigError({
      where: "saveAdapter: model",
      must: "the model must have an adapter in use",
      got: "none",
      hint: "loadPretrained(…, { adapter }), or languageModel with an adapter from loraModel",
    });
  }
  const { sha256 = null, ...named } = base === undefined ? { name: null } : await name(base);
  const origin = { ...named, sha256: notedBaseHash(adapter.arena) ?? sha256 };
  return adapterFiles(config, adapter.config, arenaReader(backend, adapter.arena), origin);
};
