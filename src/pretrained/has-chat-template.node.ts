/** Whether a model has a chat template, from its small files alone. */
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

/** Of a whole model. */
const inModel = async (path: string): Promise<boolean | null> => {
  const folder = isHubName(path) ? await keptFolder(path) : path;
  if (folder === undefined) return null;
  if (isGgufName(folder)) return inGguf(folder);
  const { files } = await readCheckpoint(folder, [], templateFileNames);
  return readTemplate(files, (name) => join(folder, name)) !== null;
};

/** Of an adapter, which has a template of its own or its model's. */
const inAdapter = async (folder: string): Promise<boolean | null> => {
  const { files } = await readCheckpoint(folder, [adapterConfigName], adapterTextNames);
  if (parseAdapterText(files, folder).template !== undefined) return true;
  const peft = parsePeftConfig(files[adapterConfigName], join(folder, adapterConfigName));
  return inModel(await basePath({ where: folder, peft }));
};

/**
 * Whether a model can be talked with. Its weights are not read, and nothing is fetched.
 * @param path as in `openPretrained`, or an adapter's folder.
 * @returns null where the files do not tell: they are not here, or damaged; whoever loads the model learns why.
 */
export const hasChatTemplate = async (path: string): Promise<boolean | null> => {
  try {
    return !isHubName(path) && (await isAdapterFolder(path)) ? await inAdapter(path) : await inModel(path);
  } catch {
    return null;
  }
};
