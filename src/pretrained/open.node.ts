/** Finding the model that a path names: the one place that knows the kinds of places. */
import { createHash } from "node:crypto";
import { stat } from "node:fs/promises";
import { CheckpointError } from "../core/errors/errors.ts";
import { quotePath } from "../core/text/shell-word.ts";
import { openFileSource } from "../io/file-source.node.ts";
import { isAdapterFolder } from "./adapter/open.node.ts";
import { type OpenedPretrained, openDirectory, type WeightFileFacts } from "./files/directory.node.ts";
import { type HubOptions, isHubName, openHub } from "./files/hub.node.ts";
import { isGgufName, openGguf } from "./gguf/open.node.ts";

const isFolder = async (path: string): Promise<boolean> => {
  try {
    return (await stat(path)).isDirectory();
  } catch {
    // Whoever opens it says why it cannot be.
    return false;
  }
};

/**
 * Finds and checks the model that `path` names: a directory, ours or another program's, a GGUF file, or `hf:org/name` on
 * the Hugging Face hub. Its weights are read later, and its files stay open until then.
 * @throws CheckpointError naming the file and its fault.
 */
export const openPretrained = async (path: string, options: HubOptions = {}): Promise<OpenedPretrained> => {
  if (isHubName(path)) return openHub(path, options);
  if (isGgufName(path) && !(await isFolder(path))) return openGguf(path);
  if (await isAdapterFolder(path)) {
    throw new CheckpointError({
      where: path,
      must: "the path must name a whole model",
      got: "an adapter alone",
      hint: `npx foretoken merge ${quotePath(path)}`,
    });
  }
  return openDirectory(path);
};

const pieceBytes = 2 ** 22;

const hashOf = async (path: string): Promise<string> => {
  const source = await openFileSource(path, path);
  try {
    const hash = createHash("sha256");
    for (let at = 0; at < source.size; at += pieceBytes) {
      hash.update(await source.read(at, Math.min(pieceBytes, source.size - at)));
    }
    return hash.digest("hex");
  } finally {
    await source.close();
  }
};

/** SHA-256 of the weights' file, hexadecimal; of several files, that of their hashes one after the other. */
export const hashOfWeights = async (files: readonly WeightFileFacts[]): Promise<string> => {
  const hashes: string[] = [];
  for (const { path, sha256 } of files) hashes.push(sha256 ?? (await hashOf(path)));
  const [first = ""] = hashes;
  return hashes.length === 1 ? first : createHash("sha256").update(hashes.join("")).digest("hex");
};
