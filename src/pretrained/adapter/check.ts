/** Checks of arguments about adapters. */

import { checkBoolean, checkModel, checkOptions } from "../../core/checks/check-arguments.ts";
import { isRecord } from "../../core/checks/is-record.ts";
import { ConfigError } from "../../core/errors/errors.ts";
import { alternatives } from "../../core/text/alternatives.ts";
import { nearest } from "../../core/text/nearest.ts";
import { show } from "../../core/text/show.ts";
import type { Model } from "../../models/model.ts";
import { adapterConfigName, adapterWeightsName } from "./config.ts";

/** @throws ConfigError for a name that is not one of the adapters'. */
export const checkAdapterName = (where: string, name: unknown, names: readonly string[]): void => {
  if (name === null || names.some((known) => known === name)) return;
  const hint = typeof name === "string" ? nearest(name, names) : undefined;
  throw new ConfigError({
    where,
    must: `must be ${alternatives([...names.map((known) => show(known)), "null"])}, an adapter that was loaded or none`,
    got: show(name),
    ...(hint === undefined ? {} : { hint }),
  });
};

/** @throws ConfigError for what is no record of models over `base`. */
export const checkAdaptedModels = (adapters: unknown, base: Model): void => {
  const where = "languageModel: adapters";
  checkOptions(where, adapters);
  for (const [name, model] of Object.entries(adapters as object)) {
    checkModel(`${where}.${name}`, model);
    const { adapter, arena } = model as Model;
    if (adapter !== null && arena === base.arena) continue;
    throw new ConfigError({
      where: `${where}.${name}`,
      must: "must be a model of loraModel over the same model",
      got: adapter === null ? "one without an adapter" : "one over another model",
    });
  }
};

/** @throws ConfigError for a model with an adapter in use, which its own weights lack. */
export const checkNoAdapter = (
  where: string,
  { model, adapter }: { readonly model: Model; readonly adapter: string | null },
): void => {
  if (model.adapter === null) return;
  throw new ConfigError({
    where,
    must: "the model must have no adapter in use: its weights alone would be saved",
    got: adapter === null ? "one with an adapter" : `one with ${show(adapter)}`,
    hint: "useAdapter(null), after mergeAdapter(lm.model) if it is to be a part of the weights",
  });
};

const isSource = (value: unknown, inBrowser: boolean): boolean =>
  (typeof value === "string" && value !== "") ||
  (inBrowser && value instanceof URL) ||
  (isRecord(value) && [adapterConfigName, adapterWeightsName].every((name) => value[name] instanceof Uint8Array));

/**
 * Checks the adapters that `loadPretrained` is asked for.
 * @param inBrowser whether a text is an address; else it is a folder's path.
 * @throws ConfigError naming the option.
 */
export const checkAdapterOptions = (options: object, inBrowser: boolean, where: string): void => {
  const [adapter, adapters, baseCheck] = ["adapter", "adapters", "baseCheck"].map((name): unknown =>
    Reflect.get(options, name),
  );
  if (baseCheck !== undefined) checkBoolean(`${where}: baseCheck`, baseCheck);
  const check = (name: string, value: unknown): void => {
    if (isSource(value, inBrowser)) return;
    const place = inBrowser ? "an address" : "a path";
    throw new ConfigError({
      where: `${where}: ${name}`,
      must: `must be ${place}, or an object with the files of an adapter as Uint8Arrays`,
      got: show(value),
    });
  };
  if (adapter !== undefined) check("adapter", adapter);
  if (adapters === undefined) return;
  checkOptions(`${where}: adapters`, adapters);
  for (const [name, value] of Object.entries(adapters as object)) check(`adapters.${name}`, value);
  if (adapter === undefined) return;
  const must = "must not be given with adapter, which is one of them";
  throw new ConfigError({ where: `${where}: adapters`, must, got: "both" });
};
