import { checkBackendChoice, checkOptions, checkPath } from "../core/check-arguments.ts";
import { ConfigError } from "../core/errors.ts";
import { show } from "../core/show.ts";

const isFiles = (value: unknown): boolean =>
  typeof value === "object" &&
  value !== null &&
  ["config.json", "model.safetensors", "tokenizer.json"].every(
    (name) => Reflect.get(value, name) instanceof Uint8Array,
  );

/**
 * Checks the arguments of `loadPretrained`, before anything is read.
 * @param inBrowser whether a checkpoint can be an address or its files.
 * @param where the called function, for the error.
 * @throws ConfigError naming the argument.
 */
export const checkLoad = (checkpoint: unknown, options: unknown, inBrowser = false, where = "loadPretrained"): void => {
  if (!inBrowser) checkPath(`${where}: directory`, checkpoint);
  else if (typeof checkpoint !== "string" && !(checkpoint instanceof URL) && !isFiles(checkpoint)) {
    throw new ConfigError({
      where: `${where}: checkpoint`,
      must: "must be an address, or an object with the files of a checkpoint as Uint8Arrays",
      got: show(checkpoint),
    });
  }
  checkOptions(`${where}: options`, options);
  checkBackendChoice("backend", Reflect.get(options as object, "backend"));
};
