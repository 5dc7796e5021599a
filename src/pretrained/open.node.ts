/** Finding the model that a path names: the one place that knows the kinds of places. */
import { stat } from "node:fs/promises";
import { CheckpointError } from "../core/errors/errors.ts";
import { quotePath } from "../core/text/shell-word.ts";
import { manifestName } from "../io/manifest.ts";
import { isAdapterPlace } from "./adapter/open.node.ts";
import { type OpenedPretrained, openDirectory } from "./files/directory.node.ts";
import { type HubOptions, isHubName, openHub } from "./files/hub.node.ts";
import { isGgufName, openGguf } from "./gguf/open.node.ts";

/** Notice for a model whose files are compared with no hashes, since it has no manifest. */
export const uncheckedNotice = (path: string): string =>
  `${path}: unchecked, since it has no ${manifestName}: damage to its files would not be noticed`;

const isFolder = async (path: string): Promise<boolean> => {
  try {
    return (await stat(path)).isDirectory();
  } catch {
    // Whoever opens it says why it cannot be.
    return false;
  }
};

const isGgufFile = async (path: string): Promise<boolean> => isGgufName(path) && !(await isFolder(path));

/**
 * Says so if a model should have a manifest, and has none: damage to it would not be noticed. Files of the hub were compared
 * when they were fetched. A GGUF file never has hashes, which its user cannot change: `info` alone tells that.
 * @throws what `onNotice` throws, once the model is closed.
 */
export const noticeUnchecked = async (
  { checked, where, weights }: Pick<OpenedPretrained, "checked" | "where" | "weights">,
  path: string,
  onNotice: HubOptions["onNotice"],
): Promise<void> => {
  if (checked || isHubName(path) || (await isGgufFile(path))) return;
  try {
    await onNotice?.(uncheckedNotice(where));
  } catch (error) {
    await weights.close();
    throw error;
  }
};

/** The same of an adapter: its GGUF file has no hashes either. */
export const noticeUncheckedAdapter = async (
  { checked, where }: { readonly checked: boolean; readonly where: string },
  onNotice: HubOptions["onNotice"],
): Promise<void> => {
  if (!checked && !(await isGgufFile(where))) await onNotice?.(uncheckedNotice(where));
};

/**
 * Finds and checks the model that `path` names: a directory, ours or another program's, a GGUF file, or `hf:org/name` on
 * the Hugging Face hub. Its weights are read later, and its files stay open until then.
 * @throws CheckpointError naming the file and its fault.
 */
export const openPretrained = async (path: string, options: HubOptions = {}): Promise<OpenedPretrained> => {
  if (isHubName(path)) return openHub(path, options);
  if (await isAdapterPlace(path)) {
    throw new CheckpointError({
      where: path,
      must: "the path must name a whole model",
      got: "an adapter alone",
      hint: `npx foretoken merge ${quotePath(path)}`,
    });
  }
  return (await isGgufFile(path)) ? openGguf(path) : openDirectory(path);
};
