/** Lists the texts of the folder that was given at start. Nothing outside the folder is read, even through a link. */
import { open, readdir, realpath, stat } from "node:fs/promises";
import { extname, join, relative, sep } from "node:path";
import { folderNames } from "../../runs/folder-names.ts";
import { HttpError } from "../http/http-error.ts";
import type { TextListAnswer } from "./protocol.ts";

/** File name extensions of texts. Other files are recognized by their contents. */
const textEndings: readonly string[] = [".txt", ".md", ".jsonl"];

/** Maximum number of listed texts, and maximum number of folders and files that are examined. */
const mostTexts = 1000;
const mostFolders = 1000;
const mostFiles = 5000;

/** Number of bytes at the beginning of a file that show whether it is a text. */
const lookAt = 4096;

const isHidden = (name: string): boolean => name.startsWith(".");

/** Whether the beginning of a file is UTF-8 without zero bytes. */
const isText = async (path: string): Promise<boolean> => {
  const file = await open(path).catch(() => undefined);
  if (file === undefined) return false;
  try {
    const { bytesRead, buffer } = await file.read(Buffer.alloc(lookAt), 0, lookAt, 0);
    const bytes = buffer.subarray(0, bytesRead);
    if (bytes.includes(0)) return false;
    // Use `stream: true`, because the last character may be incomplete.
    new TextDecoder("utf-8", { fatal: true }).decode(bytes, { stream: true });
    return true;
  } catch {
    return false;
  } finally {
    await file.close();
  }
};

/** The texts in `folder` and its subfolders, without hidden files, links, node_modules and folders of runs. */
export const listTexts = async (folder: string): Promise<TextListAnswer> => {
  const texts: { readonly path: string; readonly bytes: number }[] = [];
  const folders = [folder];
  let files = 0;
  for (let at = 0; at < folders.length && at < mostFolders && texts.length < mostTexts; at++) {
    const parent = folders[at] as string;
    const entries = await readdir(parent, { withFileTypes: true }).catch(() => []);
    // The folder belongs to a run, so its files are not texts to train on.
    if (entries.some(({ name }) => name === folderNames.description)) continue;
    for (const entry of entries.sort((a, b) => (a.name < b.name ? -1 : 1))) {
      if (isHidden(entry.name) || entry.name === "node_modules") continue;
      const path = join(parent, entry.name);
      if (entry.isDirectory()) folders.push(path);
      if (!entry.isFile() || texts.length >= mostTexts || ++files > mostFiles) continue;
      if (!textEndings.includes(extname(entry.name).toLowerCase()) && !(await isText(path))) continue;
      const bytes = (await stat(path).catch(() => undefined))?.size ?? 0;
      if (bytes > 0) texts.push({ path: relative(folder, path).replaceAll(sep, "/"), bytes });
    }
  }
  return { texts: texts.sort((a, b) => (a.path < b.path ? -1 : 1)) };
};

/** The path of a text in the folder. @throws HttpError for a path that is outside the folder or does not exist. */
export const textPath = async (folder: string | null, path: string): Promise<string> => {
  if (folder === null)
    throw new HttpError(400, "text: a folder of texts must be named at start; got none; try --texts FOLDER", "text");
  const missing = new HttpError(
    404,
    `text: must name a text of the folder; got ${JSON.stringify(path.slice(0, 100))}`,
    "text",
  );
  const names = path.split("/");
  if (/[\0\\]/u.test(path) || names.some((name) => name === "" || isHidden(name))) throw missing;
  const [root, real] = await Promise.all([realpath(folder), realpath(join(folder, path))]).catch(() => {
    throw missing;
  });
  if (real === undefined || root === undefined || !real.startsWith(root + sep)) throw missing;
  // A link may lead to a hidden file.
  if (relative(root, real).split(sep).some(isHidden)) throw missing;
  if (!(await stat(real)).isFile()) throw missing;
  return real;
};
