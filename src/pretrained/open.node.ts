/** Opens the model that a path names. Only this module distinguishes directories, GGUF files and names of the hub. */
import { stat } from "node:fs/promises";
import { CheckpointError } from "../core/errors/errors.ts";
import { quotePath } from "../core/text/shell-word.ts";
import { checkpointOfRun } from "../io/checkpoint-place.node.ts";
import { manifestName } from "../io/manifest.ts";
import { isAdapterPlace } from "./adapter/place.node.ts";
import { type OpenedPretrained, openDirectory } from "./files/directory.node.ts";
import type { HubOptions } from "./files/hub.node.ts";
import { isHubName } from "./files/hub-name.ts";
import { isGgufName } from "./gguf/source.node.ts";

/** Notice for a model without a manifest. Without a manifest, the files cannot be checked. */
export const uncheckedNotice = (path: string): string =>
  `${path}: unchecked, because it has no ${manifestName}: damage to its files would not be noticed`;

const isFolder = async (path: string): Promise<boolean> => {
  try {
    return (await stat(path)).isDirectory();
  } catch {
    // Ignore the error here, because opening the path later reports it.
    return false;
  }
};

const isGgufFile = async (path: string): Promise<boolean> => isGgufName(path) && !(await isFolder(path));

/**
 * Reports that a model has no manifest, so nobody would notice damage. Files of the hub get no notice, because they
 * were checked when they were downloaded. A GGUF file gets no notice, because it cannot contain hashes. `info` shows
 * that the file is unchecked.
 * @throws any error that `onNotice` throws, after closing the model.
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

/** Reports that an adapter has no manifest. A GGUF file gets no notice. */
export const noticeUncheckedAdapter = async (
  { checked, where }: { readonly checked: boolean; readonly where: string },
  onNotice: HubOptions["onNotice"],
): Promise<void> => {
  if (!checked && !(await isGgufFile(where))) await onNotice?.(uncheckedNotice(where));
};

/** The place of the weights at `path`. For a run's folder, it is the run's best weights, as for the commands. */
export const modelPlace = async (path: string): Promise<string> =>
  isHubName(path) ? path : ((await checkpointOfRun(path)) ?? path);

/**
 * Opens and checks the model that `path` names: a directory of Foretoken or another program, a GGUF file, or
 * `hf:org/name` on the Hugging Face hub. The weights are read later, so the files stay open.
 * @throws CheckpointError with the file and the problem.
 */
export const openPretrained = async (path: string, options: HubOptions = {}): Promise<OpenedPretrained> => {
  // Most models are directories, so the code for other models is imported only here.
  if (isHubName(path)) return (await import("./files/hub.node.ts")).openHub(path, options);
  if (await isAdapterPlace(path)) {
    throw new CheckpointError({
      where: path,
      must: "the path must name a whole model",
      got: "an adapter alone",
      hint: `npx foretoken merge ${quotePath(path)}`,
    });
  }
  return (await isGgufFile(path)) ? (await import("./gguf/open.node.ts")).openGguf(path) : openDirectory(path);
};
