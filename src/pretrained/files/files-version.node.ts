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
  const all = await Promise.all(
    ["", manifestName, "config.json", "model.safetensors", "adapter_model.safetensors"].map(async (name) => {
      const found = await stat(name === "" ? place : join(place, name)).catch(() => undefined);
      // A folder is another one at each file that is put into it, whatever it is.
      if (found === undefined || (name === "" && found.isDirectory())) return [];
      return [`${found.dev} ${found.ino} ${found.size} ${found.mtimeMs}`];
    }),
  );
  const versions = all.flat();
  return versions.length === 0 ? undefined : versions.join(", ");
};
