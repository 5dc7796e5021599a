/** Names of files and folders that a command writes a model to. */
import { basename, join, resolve } from "node:path";

/** A model's path without an ending; of the hub, without its revision. */
const plainPath = (model: string): string => {
  const plain = model.replace(/[/\\]+$/u, "").replace(/\.gguf$/iu, "");
  if (model.startsWith("hf:")) return basename(plain.replace(/@[^/@]*$/u, ""));
  // "." and ".." are no names.
  return /(^|[/\\])\.{1,2}$/u.test(plain) ? resolve(plain) : plain;
};

/** A model's name, for people. */
export const nameOfModel = (model: string): string => basename(plainPath(model));

/**
 * The place that a model is written to: `out`, or with the model's name in the folder `out`, or beside the model.
 * @param suffix what its name gets, such as "-q8_0".
 * @param ending of files, such as ".gguf"; "" for a folder, which `out` names itself.
 */
export const newPlace = (model: string, suffix: string, ending: string, out: string | undefined): string => {
  const name = `${plainPath(model)}${suffix}${ending}`;
  if (out === undefined) return name;
  return ending === "" || out.toLowerCase().endsWith(ending) ? out : join(out, basename(name));
};
