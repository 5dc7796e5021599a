/**
 * The page with the logit lens of the first model named at start. If the model comes from a run with samples, the page
 * shows one of these samples.
 */
import { basename, dirname, join, resolve } from "node:path";
import { ForetokenError } from "../../core/errors/errors.ts";
import { isFile } from "../../core/system/regular-file.node.ts";
import { hasCheckpoint } from "../../io/checkpoint-place.node.ts";
import { isHubName } from "../../pretrained/files/hub-name.ts";
import { folderNames } from "../../runs/folder-names.ts";
import { readColumns } from "../../runs/list/series.node.ts";
import type { RunShelf } from "./runs.ts";

/** Maximum number of characters that are taken from a sample. */
const mostOfSample = 48;

/** Only samples are needed, so few steps are kept in memory. */
const mostSteps = 100;

const isRun = (path: string): Promise<boolean> => isFile(join(path, folderNames.description));

/** The run with the folder or checkpoint at `place`. */
const runOf = async (place: string): Promise<string | undefined> => {
  const path = resolve(place);
  for (const folder of [path, dirname(path)]) if (await isRun(folder)) return folder;
  return undefined;
};

/** The last sample of a run. Undefined: the run has no sample. */
const lastSample = async (run: string): Promise<string | undefined> => {
  const columns = await readColumns(run, mostSteps).catch((error: unknown) => {
    // If the event log is damaged, the page should still show the model.
    if (error instanceof ForetokenError) return undefined;
    throw error;
  });
  const sample = columns?.samples.at(-1);
  if (sample === undefined) return undefined;
  // In a conversation, the sample is an answer. Without the chat template's marks, question and answer are one line.
  const text = columns?.chat === true ? sample.prompt : sample.prompt + sample.text;
  return [...text].slice(0, mostOfSample).join("");
};

/**
 * The key of a place in the list of models. A run of the studio's folder is listed as a run. Any other place is listed
 * by its path or name.
 */
const keyOf = async (place: string, shelf: RunShelf): Promise<string> => {
  const path = resolve(place);
  if (dirname(path) === resolve(shelf.folder) && (await isRun(path))) {
    for (const [weights, folder] of [
      ["best", folderNames.best],
      ["last", folderNames.checkpoint],
    ] as const)
      if (await hasCheckpoint(join(path, folder))) return `runs/${basename(path)}/${weights}`;
  }
  return `models/${place}`;
};

/**
 * Encodes a text for a query. Slashes and colons stay unchanged, because a query may contain them. So people can read
 * the address.
 */
const inQuery = (text: string): string => encodeURIComponent(text).replaceAll("%2F", "/").replaceAll("%3A", ":");

/**
 * The address of the lens page of the first model named at start, without the leading slash. If the address contains no
 * text, the page chooses a text that the tokenizer can encode.
 * @returns undefined if no model was named.
 */
export const firstInside = async (named: readonly string[], shelf: RunShelf): Promise<string | undefined> => {
  const [place] = named;
  if (place === undefined) return undefined;
  const key = isHubName(place) ? `models/${place}` : await keyOf(place, shelf);
  // For runs of the studio's folder, the page itself finds the samples.
  const run = isHubName(place) || key.startsWith("runs/") ? undefined : await runOf(place);
  const text = run === undefined ? undefined : await lastSample(run);
  return `inside?model=${inQuery(key)}&view=lens${text === undefined || text === "" ? "" : `&text=${inQuery(text)}`}`;
};
