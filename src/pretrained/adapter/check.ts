/** Checks the arguments of functions that take adapters. */

import { checkBoolean, checkModel, checkOptions } from "../../core/checks/check-arguments.ts";
import { isRecord } from "../../core/checks/is-record.ts";
import { ConfigError } from "../../core/errors/errors.ts";
import { alternatives } from "../../core/text/alternatives.ts";
import { nearest } from "../../core/text/nearest.ts";
import { show } from "../../core/text/show.ts";
import type { Model } from "../../models/model.ts";
import { adapterConfigName, adapterWeightsName } from "./names.ts";

/** @throws ConfigError if `name` is neither null nor one of `names`. */
export const checkAdapterName = (where: string, name: unknown, names: readonly string[]): void => {
  if (name === null || names.some((known) => known === name)) return;
  const hint = typeof name === "string" ? nearest(name, names) : undefined;
  throw new ConfigError({
    where,
    must: `must be ${alternatives([...names.map((known) => show(known)), "null"])}; null means no adapter`,
    got: show(name),
    ...(hint === undefined ? {} : { hint }),
  });
};

/** @throws ConfigError if `adapters` is not a record of models that have an adapter and share the weights of `base`. */
export const checkAdaptedModels = (adapters: unknown, base: Model): void => {
  const where = "languageModel: adapters";
  checkOptions(where, adapters);
  for (const [name, model] of Object.entries(adapters as object)) {
    checkModel(`${where}.${name}`, model);
    const { adapter, arena } = model as Model;
    if (adapter !== null && arena === base.arena) continue;
    throw new ConfigError({
      where: `${where}.${name}`,
      must: "must be a model that loraModel made from the same base model",
      got: adapter === null ? "a model without an adapter" : "an adapter of another model",
    });
  }
};

/** @throws ConfigError if an adapter is in use, because the saved weights would not contain the adapter. */
export const checkNoAdapter = (
  where: string,
  { model, adapter }: { readonly model: Model; readonly adapter: string | null },
): void => {
  if (model.adapter === null) return;
  throw new ConfigError({
    where,
    must: "the model must have no adapter in use: the adapter would not be saved",
    got: adapter === null ? "a model with an adapter" : `a model with ${show(adapter)}`,
    hint: "useAdapter(null); first mergeAdapter(lm.model) to make the adapter part of the weights",
  });
};

const isSource = (value: unknown, inBrowser: boolean): boolean =>
  (typeof value === "string" && value !== "") ||
  (inBrowser && value instanceof URL) ||
  (isRecord(value) && [adapterConfigName, adapterWeightsName].every((name) => value[name] instanceof Uint8Array));

/**
 * Checks the adapter options of `loadPretrained`.
 * @param inBrowser whether a string is an address; otherwise it is the path of a folder.
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
      must: `must be ${place}, or an object with an adapter's files as Uint8Arrays`,
      got: show(value),
    });
  };
  if (adapter !== undefined) check("adapter", adapter);
  if (adapters === undefined) return;
  checkOptions(`${where}: adapters`, adapters);
  for (const [name, value] of Object.entries(adapters as object)) check(`adapters.${name}`, value);
  if (adapter === undefined) return;
  const must = "must not be combined with adapter";
  throw new ConfigError({ where: `${where}: adapters`, must, got: "both" });
};
