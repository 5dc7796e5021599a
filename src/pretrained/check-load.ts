import { checkBackendChoice, checkOptions } from "../core/checks/check-arguments.ts";
import { ConfigError } from "../core/errors/errors.ts";
import { show } from "../core/text/show.ts";
import { checkAdapterOptions } from "./adapter/check.ts";

const isFiles = (value: unknown): boolean =>
  typeof value === "object" &&
  value !== null &&
  ["config.json", "model.safetensors", "tokenizer.json"].every(
    (name) => Reflect.get(value, name) instanceof Uint8Array,
  );

/**
 * Checks the arguments of `loadPretrained`, before anything is read.
 * @param inBrowser whether a text is an address; else it is a directory's path.
 * @param where the called function, for the error.
 * @throws ConfigError naming the argument.
 */
export const checkLoad = (checkpoint: unknown, options: unknown, inBrowser = false, where = "loadPretrained"): void => {
  const isPlace = typeof checkpoint === "string" || (inBrowser && checkpoint instanceof URL);
  if (!isPlace && !isFiles(checkpoint)) {
    throw new ConfigError({
      where: `${where}: checkpoint`,
      must: `must be ${inBrowser ? "an address" : "a path"}, or an object with the files of a checkpoint as Uint8Arrays`,
      got: show(checkpoint),
    });
  }
  checkOptions(`${where}: options`, options);
  checkBackendChoice("backend", Reflect.get(options as object, "backend"));
  checkAdapterOptions(options as object, inBrowser, where);
};
