/** Reads a model's chat template from the model's small files. */
import { join } from "node:path";
import { openFileSource } from "../io/file-source.node.ts";
import { readGgufHeader } from "../io/gguf/header.ts";
import { readCheckpoint } from "../io/read-checkpoint.node.ts";
import { parsePeftConfig } from "./adapter/config.ts";
import { adapterConfigName } from "./adapter/names.ts";
import { basePath } from "./adapter/open.node.ts";
import { isAdapterFolder } from "./adapter/place.node.ts";
import { adapterTextNames, parseAdapterText } from "./adapter/text.ts";
import { keptFolder } from "./files/hub.node.ts";
import { isHubName } from "./files/hub-name.ts";
import { templateFileNames } from "./files/names.ts";
import { isGgufName } from "./gguf/source.node.ts";
import { readTemplate } from "./parse.ts";

const inGguf = async (path: string): Promise<string | null> => {
  const source = await openFileSource(path, path, true);
  try {
    const { metadata } = await readGgufHeader(source, path);
    const template = metadata.get("tokenizer.chat_template");
    return typeof template === "string" ? template : null;
  } finally {
    await source.close();
  }
};

/** Template of a whole model. Undefined: unknown. */
const inModel = async (path: string): Promise<string | null | undefined> => {
  const folder = isHubName(path) ? await keptFolder(path) : path;
  if (folder === undefined) return undefined;
  if (isGgufName(folder)) return inGguf(folder);
  const { files } = await readCheckpoint(folder, [], templateFileNames);
  return readTemplate(files, (name) => join(folder, name))?.template ?? null;
};

/** Template of an adapter: its own template or its base model's template. */
const inAdapter = async (folder: string): Promise<string | null | undefined> => {
  const { files } = await readCheckpoint(folder, [adapterConfigName], adapterTextNames);
  const { template } = parseAdapterText(files, folder);
  if (template !== undefined) return template;
  const peft = parsePeftConfig(files[adapterConfigName], join(folder, adapterConfigName));
  return inModel(await basePath({ where: folder, peft }));
};

/**
 * The text of a model's chat template. Reads no weights and downloads nothing.
 * @param path as in `openPretrained`, or an adapter's folder.
 * @returns null if the model has no template; undefined if the answer is unknown, because files are missing or damaged.
 * Loading the model then reports the error.
 */
export const chatTemplateText = async (path: string): Promise<string | null | undefined> => {
  try {
    return !isHubName(path) && (await isAdapterFolder(path)) ? await inAdapter(path) : await inModel(path);
  } catch {
    return undefined;
  }
};

/** Whether a model has a chat template. Null: unknown, as in `chatTemplateText`. */
export const hasChatTemplate = async (path: string): Promise<boolean | null> => {
  const text = await chatTemplateText(path);
  return text === undefined ? null : text !== null;
};
