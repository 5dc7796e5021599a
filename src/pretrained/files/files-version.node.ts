/** Telling files of a model from those that replace them. */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { manifestName } from "../../io/manifest.ts";
import { isHubName } from "./hub.node.ts";

/**
 * A text that is another one once the files of a model were replaced; undefined: there are none.
 * @param place a checkpoint's directory, a GGUF file, or a name of the hub.
 */
export const filesVersion = async (place: string): Promise<string | undefined> => {
  // A name stands for the same files as long as this process lives.
  if (isHubName(place)) return "";
  for (const path of [join(place, manifestName), join(place, "config.json"), place]) {
    const found = await stat(path).catch(() => undefined);
    if (found !== undefined) return `${found.dev} ${found.ino} ${found.size} ${found.mtimeMs}`;
  }
  return undefined;
};
