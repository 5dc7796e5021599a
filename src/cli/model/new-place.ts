/** Names of the files and folders to which a command writes a model. */
import { basename, join, resolve } from "node:path";

/** A model's path without its extension. For a model of the hub, its name without the revision. */
const plainPath = (model: string): string => {
  const plain = model.replace(/[/\\]+$/u, "").replace(/\.gguf$/iu, "");
  if (model.startsWith("hf:")) return basename(plain.replace(/@[^/@]*$/u, ""));
  // "." and ".." are not usable as names.
  return /(^|[/\\])\.{1,2}$/u.test(plain) ? resolve(plain) : plain;
};

/** Name of a model, for people. */
export const nameOfModel = (model: string): string => basename(plainPath(model));

/**
 * Path for a new model. Without `out`, the path is next to the model. With `out`, the path is `out`. Exception: for a
 * file, an `out` that does not end with `ending` is the folder of the file.
 * @param suffix added to the model's name, such as "-q8_0".
 * @param ending ending of a file, such as ".gguf"; "" for a model that is a folder.
 */
export const newPlace = (model: string, suffix: string, ending: string, out: string | undefined): string => {
  const name = `${plainPath(model)}${suffix}${ending}`;
  if (out === undefined) return name;
  return ending === "" || out.toLowerCase().endsWith(ending) ? out : join(out, basename(name));
};
