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
 * Checks what `loadPretrained` is called with, before anything is read.
 * @param inBrowser where a checkpoint can be an address or its files.
 * @throws ConfigError naming the argument.
 */
export const checkLoad = (checkpoint: unknown, options: unknown, inBrowser = false): void => {
  if (!inBrowser) checkPath("loadPretrained: directory", checkpoint);
  else if (typeof checkpoint !== "string" && !(checkpoint instanceof URL) && !isFiles(checkpoint)) {
    throw new ConfigError({
      where: "loadPretrained: checkpoint",
      must: "must be an address, or an object with the files of a checkpoint as Uint8Arrays",
      got: show(checkpoint),
    });
  }
  checkOptions("loadPretrained: options", options);
  checkBackendChoice("backend", Reflect.get(options as object, "backend"));
};
