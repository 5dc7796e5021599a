import { checkBackendChoice, checkBesideBackend, checkCallback, checkKeys } from "../core/checks/check-arguments.ts";
import { ConfigError } from "../core/errors/errors.ts";
import { show } from "../core/text/show.ts";
import { checkAdapterOptions } from "./adapter/check.ts";

const isFiles = (value: unknown): boolean =>
  typeof value === "object" &&
  value !== null &&
  ["config.json", "model.safetensors", "tokenizer.json"].every(
    (name) => Reflect.get(value, name) instanceof Uint8Array,
  );

const namesInBrowser = ["backend", "threads", "adapter", "adapters", "baseCheck", "keepBlocks", "onProgress"];
const names = [...namesInBrowser, "dtype", "asInTraining", "base", "onNotice"];

/**
 * Checks the arguments of `loadPretrained`, before anything is read.
 * @param inBrowser whether a string is an address; otherwise it is a directory's path.
 * @param where the called function, for the error.
 * @throws ConfigError naming the argument.
 */
export const checkLoad = (checkpoint: unknown, options: unknown, inBrowser = false, where = "loadPretrained"): void => {
  const isPlace = typeof checkpoint === "string" || (inBrowser && checkpoint instanceof URL);
  if (!isPlace && !isFiles(checkpoint)) {
    throw new ConfigError({
      where: `${where}: checkpoint`,
      must: `must be ${inBrowser ? "an address" : "a path"}, or an object with a checkpoint's files as Uint8Arrays`,
      got: show(checkpoint),
    });
  }
  checkKeys(where, options, inBrowser ? namesInBrowser : names);
  const { backend, threads, keepBlocks } = options as Readonly<Record<string, unknown>>;
  checkBackendChoice("backend", backend);
  checkBesideBackend(where, backend, { threads, keepBlocks: keepBlocks === true ? true : undefined });
  for (const name of ["onNotice", "onProgress"])
    checkCallback(`${where}: ${name}`, Reflect.get(options as object, name));
  checkAdapterOptions(options as object, inBrowser, where);
};
