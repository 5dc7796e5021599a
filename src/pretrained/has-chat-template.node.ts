/** Checks in a model's small files whether the model has a chat template. */
import { join } from "node:path";
import { openFileSource } from "../io/file-source.node.ts";
import { readGgufHeader } from "../io/gguf/header.ts";
import { readCheckpoint } from "../io/read-checkpoint.node.ts";
import { adapterConfigName, parsePeftConfig } from "./adapter/config.ts";
import { basePath, isAdapterFolder } from "./adapter/open.node.ts";
import { adapterTextNames, parseAdapterText } from "./adapter/text.ts";
import { isHubName, keptFolder } from "./files/hub.node.ts";
import { isGgufName } from "./gguf/open.node.ts";
import { readTemplate, templateFileNames } from "./parse.ts";

const inGguf = async (path: string): Promise<boolean> => {
  const source = await openFileSource(path, path, true);
  try {
    const { metadata } = await readGgufHeader(source, path);
    return typeof metadata.get("tokenizer.chat_template") === "string";
  } finally {
    await source.close();
  }
};

/** Whether a whole model has a chat template. */
const inModel = async (path: string): Promise<boolean | null> => {
  const folder = isHubName(path) ? await keptFolder(path) : path;
  if (folder === undefined) return null;
  if (isGgufName(folder)) return inGguf(folder);
  const { files } = await readCheckpoint(folder, [], templateFileNames);
  return readTemplate(files, (name) => join(folder, name)) !== null;
};

/** Whether an adapter has a chat template: its own template or its base model's template. */
const inAdapter = async (folder: string): Promise<boolean | null> => {
  const { files } = await readCheckpoint(folder, [adapterConfigName], adapterTextNames);
  if (parseAdapterText(files, folder).template !== undefined) return true;
  const peft = parsePeftConfig(files[adapterConfigName], join(folder, adapterConfigName));
  return inModel(await basePath({ where: folder, peft }));
};

/**
 * Whether a model has a chat template. Reads no weights and downloads nothing.
 * @param path as in `openPretrained`, or an adapter's folder.
 * @returns null if the answer is unknown, because files are missing or damaged. Loading the model then reports the
 * error.
 */
export const hasChatTemplate = async (path: string): Promise<boolean | null> => {
  try {
    return !isHubName(path) && (await isAdapterFolder(path)) ? await inAdapter(path) : await inModel(path);
  } catch {
    return null;
  }
};
