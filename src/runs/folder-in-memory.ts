/**
 * A run's folder in memory. A page has no folders, so it uses this module to pass a run to Node, or to get a run from
 * Node.
 */

import { checkTextOptions } from "../config/options.ts";
import { isRecord } from "../core/checks/is-record.ts";
import { ConfigError, DataError } from "../core/errors/errors.ts";
import { show } from "../core/text/show.ts";
import { lineOfDocument } from "../data/documents-json.ts";
import { locatedDocuments } from "../data/given-documents.ts";
import type { GivenDocument } from "../data/parse-document.ts";
import { parseJson } from "../pretrained/files/checkpoint-json.ts";
import type { CheckpointFiles } from "../pretrained/files/names.ts";
import { checkVersioned, descriptionText } from "./description.ts";
import { folderNames } from "./folder-names.ts";
import { checkGivenRun, isFiles } from "./resume/given-run.ts";
import { descriptionSchema, keptPlaces, type RunData } from "./run-schemas.ts";

/**
 * A run in a page: its text or documents, and the files that `onCheckpoint` got.
 * @experimental
 */
export interface RunFiles {
  /** The training text. Absent if the folder does not contain the run's text. */
  readonly text?: string | undefined;
  /** The validation text, if the run was started with a validation text. */
  readonly valText?: string | undefined;
  /** The training documents, instead of a text. */
  readonly documents?: readonly GivenDocument[] | undefined;
  /** The validation documents, if the run was started with validation documents. */
  readonly valDocuments?: readonly GivenDocument[] | undefined;
  /** The last checkpoint, for `resume` of `train`. */
  readonly last: CheckpointFiles;
  /** The weights with the lowest validation loss. */
  readonly best?: CheckpointFiles | undefined;
  /** The averaged weights with the lowest validation loss, with `train.average`. */
  readonly averaged?: CheckpointFiles | undefined;
}

/**
 * The bytes of a folder's files, by their paths in the folder, such as "checkpoint/config.json".
 * @experimental
 */
export type FolderFiles = Readonly<Record<string, Uint8Array>>;

/** Files in a run's folder that are not in the checkpoint. */
const besideCheckpoint: readonly string[] = [folderNames.description, folderNames.metrics];

/**
 * Matches a file name that is valid on every system. The name contains no folders, because a checkpoint contains no
 * folders.
 */
const isFileName = (name: string): boolean => name !== "" && !/[/\\\0]|^\.\.?$/u.test(name);

/**
 * Decodes the text of a file exactly. @throws DataError for bytes that are not UTF-8, because replacement characters
 * would change the text.
 */
const textIn = (bytes: Uint8Array, name: string): string => {
  try {
    return new TextDecoder("utf-8", { ignoreBOM: true, fatal: true }).decode(bytes);
  } catch (cause) {
    throw new DataError({
      where: `runFromFolder: ${name}`,
      must: "the run's text must be UTF-8",
      got: "bytes that are not UTF-8",
      hint: "another copy of the folder",
      cause,
    });
  }
};

const encode = (text: string): Uint8Array => new TextEncoder().encode(text);
const linesOf = (documents: readonly GivenDocument[], name: string): Uint8Array =>
  encode(
    locatedDocuments(documents, name)
      .map(({ source }) => `${lineOfDocument(source)}\n`)
      .join(""),
  );

/** The files of the texts or documents. */
const dataFiles = ({ text, valText, documents, valDocuments }: RunFiles): FolderFiles => ({
  ...(text === undefined ? {} : { [folderNames.text]: encode(text) }),
  ...(valText === undefined ? {} : { [folderNames.valText]: encode(valText) }),
  ...(documents === undefined ? {} : { [folderNames.documents]: linesOf(documents, "documents") }),
  ...(valDocuments === undefined ? {} : { [folderNames.valDocuments]: linesOf(valDocuments, "valDocuments") }),
});

/** @throws ConfigError if a field of the run has a wrong type. */
const checkRun = (run: RunFiles): void => {
  const where = "runToFolder: run";
  if (!isRecord(run)) throw new ConfigError({ where, must: "must be an object", got: show(run) });
  const { text, valText, documents, valDocuments, last, best, averaged } = run;
  checkTextOptions({ text, valText, documents, valDocuments });
  for (const [name, value] of Object.entries({ text, valText })) {
    if (value === undefined || typeof value === "string") continue;
    throw new ConfigError({ where: `${where}.${name}`, must: "must be a text", got: show(value) });
  }
  if (text === undefined && documents === undefined) {
    throw new ConfigError({ where, must: "must have the run's text or documents", got: "neither" });
  }
  checkGivenRun(last, `${where}.last`);
  for (const [name, files] of Object.entries({ best, averaged })) {
    if (files === undefined || isFiles(files)) continue;
    throw new ConfigError({ where: `${where}.${name}`, must: "must have its files as Uint8Arrays", got: show(files) });
  }
  const bad = [last, best, averaged].flatMap((files) => Object.keys(files ?? {})).find((name) => !isFileName(name));
  if (bad !== undefined) throw new ConfigError({ where, must: "must have only files, no folders", got: show(bad) });
};

/**
 * @throws ConfigError if the run trains on documents but the data is a text, or the other way round. Node would then
 * search for files that do not exist.
 */
const checkKind = ({ documents, valText, valDocuments }: RunFiles, data: RunData): void => {
  const isDocuments = data.documents === true;
  const kind = isDocuments ? "documents" : "text";
  const where = "runToFolder: run";
  if (isDocuments !== (documents !== undefined)) {
    throw new ConfigError({
      where,
      must: `must have the ${kind} that the run trains on`,
      got: isDocuments ? "a text" : "documents",
    });
  }
  if (data.valData === null || (valText ?? valDocuments) !== undefined) return;
  throw new ConfigError({
    where,
    must: `must have the ${kind} to validate on, because the run began with ${isDocuments ? "some" : "one"}`,
    got: "none",
    hint: isDocuments ? "valDocuments as well" : "valText as well",
  });
};

/** The files of the best weights of a kind, in the folder `folder`. */
const weightFiles = (folder: string, weights: CheckpointFiles | undefined): FolderFiles =>
  Object.fromEntries(
    Object.entries(weights ?? {})
      .filter(([name]) => !besideCheckpoint.includes(name))
      .map(([name, bytes]) => [`${folder}/${name}`, bytes]),
  );

/**
 * Makes the files of a folder that Node's `train({ resume })` and `foretoken train --resume` accept.
 * @experimental
 * @param run the run's text or documents, and the files that `onCheckpoint` got.
 * @returns the bytes of the files, by their paths in the folder. The checkpoints' bytes are the given arrays, not
 * copies.
 * @throws ConfigError if `run` lacks the text or the documents that it trains on, or a file of its last checkpoint.
 * @example
 * ```ts
 * import { type CheckpointFiles, runToFolder, zipFolder } from "foretoken/browser";
 *
 * declare const text: string;
 * declare const last: CheckpointFiles;
 *
 * const link = document.createElement("a");
 * link.href = URL.createObjectURL(zipFolder(runToFolder({ text, last }), "my-run"));
 * link.download = "my-run.zip";
 * link.click();
 * ```
 */
export const runToFolder = (run: RunFiles): FolderFiles => {
  checkRun(run);
  const { text, valText, documents, valDocuments, last, best, averaged } = run;
  const json = parseJson(last[folderNames.description] ?? new Uint8Array(), folderNames.description);
  const description = checkVersioned(descriptionSchema, json, folderNames.description);
  checkKind(run, description.data);
  const places = keptPlaces(documents === undefined ? { text: text ?? "", valText } : { documents, valDocuments });
  const files = Object.entries(last).filter(([name]) => !besideCheckpoint.includes(name));
  const { [folderNames.metrics]: notes } = last;
  return {
    [folderNames.description]: encode(descriptionText({ ...description, data: { ...description.data, ...places } })),
    ...dataFiles(run),
    ...(notes === undefined ? {} : { [folderNames.metrics]: notes }),
    ...Object.fromEntries(files.map(([name, bytes]) => [`${folderNames.checkpoint}/${name}`, bytes])),
    ...weightFiles(folderNames.best, best),
    ...weightFiles(folderNames.averaged, averaged),
  };
};

const isIterable = (value: unknown): value is Iterable<unknown> =>
  typeof value === "object" && value !== null && typeof Reflect.get(value, Symbol.iterator) === "function";

/** A file that is read only when it is needed. */
type Source = () => Promise<Uint8Array>;

/** @throws ConfigError if the value is not a list of a page's files or an object of bytes. */
const checkFolder = (folder: unknown): void => {
  const isMap = isRecord(folder) && isFiles(folder);
  const isList = isIterable(folder) && Array.from(folder).every((file) => file instanceof Blob);
  if (isMap || isList) return;
  throw new ConfigError({
    where: "runFromFolder: folder",
    must: "must be an object from paths to bytes, or a list of files",
    got: show(folder),
  });
};

/** The files by their paths, from a list of a page's files or from an object. */
const sourcesOf = (folder: FolderFiles | Iterable<File>): ReadonlyMap<string, Source> => {
  const entries = isIterable(folder)
    ? Array.from(folder as Iterable<File>, (file): [string, Source] => [
        file.webkitRelativePath || file.name,
        async () => new Uint8Array(await file.arrayBuffer()),
      ])
    : Object.entries(folder as FolderFiles).map(([path, bytes]): [string, Source] => [path, async () => bytes]);
  return new Map(entries);
};

const depthOf = (root: string): number => root.split("/").length;

/**
 * Finds the run's folder among the paths: the folder of the `run.json` with the fewest parent folders. The result ends
 * with "/".
 * @throws ConfigError if there are several such folders.
 */
const rootOf = (paths: readonly string[]): string | undefined => {
  const { description } = folderNames;
  const roots = paths
    .filter((path) => path === description || path.endsWith(`/${description}`))
    .map((path) => path.slice(0, path.length - description.length));
  const least = Math.min(...roots.map(depthOf));
  const [root, ...others] = roots.filter((one) => depthOf(one) === least);
  if (root === undefined || others.length === 0) return root;
  const [first, second] = [root, ...others].map((one) => show(one.slice(0, -1))).sort();
  throw new ConfigError({
    where: "runFromFolder: folder",
    must: "must be the folder of one run",
    got: `a folder of ${1 + others.length} runs, such as ${first} and ${second}`,
    hint: "the folder of a single run",
  });
};

const documentsIn = (bytes: Uint8Array, where: string): readonly GivenDocument[] => {
  const lines = new TextDecoder().decode(bytes).split("\n");
  return lines.flatMap((line, i) => {
    if (line.trim() === "") return [];
    try {
      return [JSON.parse(line) as GivenDocument];
    } catch (cause) {
      throw new DataError({ where: `${where}:${i + 1}`, must: "the line must be JSON", got: show(line), cause });
    }
  });
};

/**
 * Reads a run from the files of its folder, written by `runToFolder` or by Node. Only the last checkpoint, the best
 * weights and the best averaged weights are read.
 * @experimental
 * @param folder the bytes of the files by their paths, or the file list of `<input type="file" webkitdirectory>`.
 * @returns text and files for `train({ text, resume: last })`. `text` is absent if the run was trained in Node on a
 * text outside its folder.
 * @throws ConfigError if the files are not the folder of exactly one run, or if the run has no checkpoint. Damaged
 * files are found later, by `train`.
 * @example
 * ```ts
 * import { runFromFolder, train } from "foretoken/browser";
 *
 * declare const input: HTMLInputElement;
 *
 * const { text, last } = await runFromFolder(input.files ?? []);
 * for await (const event of train({ text, resume: last })) console.log(event.type);
 * ```
 */
export const runFromFolder = async (folder: FolderFiles | Iterable<File>): Promise<RunFiles> => {
  checkFolder(folder);
  const sources = sourcesOf(folder);
  const root = rootOf([...sources.keys()]);
  const under = (name: string): readonly (readonly [string, Source])[] =>
    [...sources].flatMap(([path, read]) => {
      const inside = path.startsWith(`${root}${name}/`) ? path.slice(`${root}${name}/`.length) : "";
      return isFileName(inside) ? [[inside, read] as const] : [];
    });
  const readAll = async (files: readonly (readonly [string, Source])[]): Promise<Record<string, Uint8Array>> =>
    Object.fromEntries(await Promise.all(files.map(async ([name, read]) => [name, await read()] as const)));
  const beside = await readAll(
    [...Object.values(folderNames)].flatMap((name) => {
      const read = sources.get(`${root}${name}`);
      return read === undefined ? [] : [[name, read] as const];
    }),
  );
  const last = await readAll(under(folderNames.checkpoint));
  const { [folderNames.description]: description, [folderNames.metrics]: notes } = beside;
  if (root === undefined || description === undefined || Object.keys(last).length === 0) {
    throw new ConfigError({
      where: "runFromFolder: folder",
      must: `must be the folder of a run, with ${folderNames.description} and a checkpoint`,
      got: root === undefined ? `no ${folderNames.description}` : `no ${folderNames.checkpoint}/`,
      hint: "the run's folder, or a folder downloaded from a page",
    });
  }
  const best = await readAll(under(folderNames.best));
  const averaged = await readAll(under(folderNames.averaged));
  const textOf = (name: string): string | undefined => beside[name] && textIn(beside[name], name);
  const listOf = (name: string) => beside[name] && documentsIn(beside[name], name);
  const data = {
    ...{ text: textOf(folderNames.text), valText: textOf(folderNames.valText) },
    ...{ documents: listOf(folderNames.documents), valDocuments: listOf(folderNames.valDocuments) },
  };
  return {
    ...Object.fromEntries(Object.entries(data).filter(([, value]) => value !== undefined)),
    last: {
      ...last,
      [folderNames.description]: description,
      ...(notes === undefined ? {} : { [folderNames.metrics]: notes }),
    } as unknown as CheckpointFiles,
    ...(Object.keys(best).length === 0 ? {} : { best: best as CheckpointFiles }),
    ...(Object.keys(averaged).length === 0 ? {} : { averaged: averaged as CheckpointFiles }),
  };
};
