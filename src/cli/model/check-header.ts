/**
 * Checks that a path is a model. The check reads the model's configuration, its tokenizer and the list of its tensors.
 */
import { CheckpointError } from "../../core/errors/errors.ts";
import { openAdapter } from "../../pretrained/adapter/open.node.ts";
import { isAdapterFolder } from "../../pretrained/adapter/place.node.ts";
import { openPretrained } from "../../pretrained/open.node.ts";
import { inModelFlags, modelDirectory } from "./checkpoint-path.ts";

/**
 * @throws CheckpointError that names the file and its fault. A run without weights is accepted, because it may save
 * weights later.
 */
export const checkHeader = async (path: string): Promise<void> => {
  const directory = await modelDirectory(path).catch((error: unknown) => {
    if (error instanceof CheckpointError) return undefined;
    throw error;
  });
  if (directory === undefined) return;
  try {
    if (await isAdapterFolder(directory)) await (await openAdapter(directory)).source.close();
    else await (await openPretrained(directory)).weights.close();
  } catch (error) {
    throw inModelFlags(error);
  }
};
