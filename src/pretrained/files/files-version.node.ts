/** Detects that a model's files were replaced. */
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { isHubName } from "./hub-name.ts";

/** Names of the files of a model: weights, also in several files, configuration, tokenizer and chat template. */
const modelFile = /\.(?:json|safetensors|jinja|model)$/u;

/**
 * Returns a text that changes if a model's files are replaced, or undefined if there are no files.
 * @param place a checkpoint's directory, a GGUF file, or a name of the hub.
 */
export const filesVersion = async (place: string): Promise<string | undefined> => {
  // While this process runs, a name of the hub always means the same files.
  if (isHubName(place)) return "";
  // A folder may have its weights in several files. Its own modification time does not change with their contents.
  const inFolder = await readdir(place).catch(() => []);
  const names = inFolder.filter((name) => modelFile.test(name)).sort();
  const all = await Promise.all(
    ["", ...names].map(async (name) => {
      const found = await stat(name === "" ? place : join(place, name)).catch(() => undefined);
      if (found === undefined || found.isDirectory()) return [];
      return [`${name} ${found.dev} ${found.ino} ${found.size} ${found.mtimeMs}`];
    }),
  );
  const versions = all.flat();
  return versions.length === 0 ? undefined : versions.join(", ");
};
