/** Where the page looks into the first model that was named at start: its lens, on a text of the model's own if it has one. */
import { basename, dirname, join, resolve } from "node:path";
import { ForetokenError } from "../../core/errors/errors.ts";
import { isFile } from "../../io/files.node.ts";
import { hasCheckpoint } from "../../io/read-checkpoint.node.ts";
import { isHubName } from "../../pretrained/files/hub.node.ts";
import { folderNames } from "../../runs/folder-names.ts";
import { readColumns } from "../../runs/list/series.node.ts";
import type { RunShelf } from "./runs.ts";

/** Characters of a sample that are looked at. */
const mostOfSample = 48;

/** Only samples are read: no more steps are kept in memory. */
const mostSteps = 100;

const isRun = (path: string): Promise<boolean> => isFile(join(path, folderNames.description));

/** The run whose folder, or whose checkpoint, was named. */
const runOf = async (place: string): Promise<string | undefined> => {
  const path = resolve(place);
  for (const folder of [path, dirname(path)]) if (await isRun(folder)) return folder;
  return undefined;
};

/** What a run wrote last; undefined: it wrote nothing yet. */
const lastSample = async (run: string): Promise<string | undefined> => {
  const columns = await readColumns(run, mostSteps).catch((error: unknown) => {
    // Damaged notes do not matter for a look at the model.
    if (error instanceof ForetokenError) return undefined;
    throw error;
  });
  const sample = columns?.samples.at(-1);
  return sample === undefined ? undefined : [...(sample.prompt + sample.text)].slice(0, mostOfSample).join("");
};

/** A place as it is in the list of models: a run of the shelf is there by its own name, others by theirs. */
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

/** Slashes and colons may stand in a query as they are, and an address is read by people. */
const inQuery = (text: string): string => encodeURIComponent(text).replaceAll("%2F", "/").replaceAll("%3A", ":");

/**
 * The address of the lens on the first of the models that were named at start, without the slash before it.
 * @returns undefined if none was named. Without a text in the address, the page chooses one that the tokenizer knows.
 */
export const firstInside = async (named: readonly string[], shelf: RunShelf): Promise<string | undefined> => {
  const [place] = named;
  if (place === undefined) return undefined;
  const key = isHubName(place) ? `models/${place}` : await keyOf(place, shelf);
  // The page knows what the shelf's own runs wrote.
  const run = isHubName(place) || key.startsWith("runs/") ? undefined : await runOf(place);
  const text = run === undefined ? undefined : await lastSample(run);
  return `inside?model=${inQuery(key)}&view=lens${text === undefined || text === "" ? "" : `&text=${inQuery(text)}`}`;
};
