/** Reads the manifest of a folder. */
import { join } from "node:path";
import { readRegularFile } from "../core/system/regular-file.node.ts";
import { isMarked, type Manifest, manifestName, parseManifest } from "./manifest.ts";

const maxMarkBytes = 2 ** 20;

/** Reads a small file as text. Returns "" if it cannot be read. */
export const readMark = async (path: string): Promise<string> =>
  readRegularFile(path, { maxBytes: maxMarkBytes }).then(
    (bytes) => new TextDecoder().decode(bytes),
    () => "",
  );

/** Reads the folder's manifest. Returns null if there is no manifest or if it is incomplete. */
export const readManifest = async (folder: string): Promise<Manifest | null> => {
  const text = await readMark(join(folder, manifestName));
  if (!isMarked(text)) return null;
  try {
    return parseManifest(JSON.parse(text)) ?? null;
  } catch {
    return null;
  }
};
