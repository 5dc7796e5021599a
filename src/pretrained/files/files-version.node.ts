/** Detects that a model's files were replaced. */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { manifestName } from "../../io/manifest.ts";
import { isHubName } from "./hub.node.ts";

/**
 * Returns a text that changes if a model's files are replaced, or undefined if there are no files.
 * @param place a checkpoint's directory, a GGUF file, or a name of the hub.
 */
export const filesVersion = async (place: string): Promise<string | undefined> => {
  // While this process runs, a name of the hub always means the same files.
  if (isHubName(place)) return "";
  const all = await Promise.all(
    ["", manifestName, "config.json", "model.safetensors", "adapter_model.safetensors"].map(async (name) => {
      const found = await stat(name === "" ? place : join(place, name)).catch(() => undefined);
      // Do not use the folder's own modification time, because it changes whenever any file is added.
      if (found === undefined || (name === "" && found.isDirectory())) return [];
      return [`${found.dev} ${found.ino} ${found.size} ${found.mtimeMs}`];
    }),
  );
  const versions = all.flat();
  return versions.length === 0 ? undefined : versions.join(", ");
};
