/** The sweeps of a folder. Files are read again only after they have changed. */
import { readdir, stat } from "node:fs/promises";
import { basename, dirname, join, relative } from "node:path";
import { ForetokenError } from "../../core/errors/errors.ts";
import { systemErrorCode } from "../../core/errors/system-error.ts";
import { commandLine } from "../../core/text/shell-word.ts";
import { isCorpusName } from "../../data/corpora.node.ts";
import { lockHolder } from "../../io/lock.node.ts";
import { isHubName } from "../../pretrained/files/hub-name.ts";
import { findsFolder } from "../../runs/finds-folder.node.ts";
import { sweepNames } from "../../sweep/folder.node.ts";
import { readSweepProgress, type SweepProgress } from "../../sweep/progress.node.ts";
import type { RunListAnswer, SweepSummary } from "./protocol.ts";

/** A sweep of the studio's folder. */
export interface SweepPlace {
  readonly name: string;
  /** The sweep's folder. */
  readonly path: string;
  /** Folder of its runs. */
  readonly runs: string;
  /** Beginning of its runs' names in the list. Empty: the studio shows the folder of the runs itself. */
  readonly prefix: string;
}

const hasPlan = (path: string): Promise<boolean> =>
  stat(join(path, sweepNames.plan)).then(
    (found) => found.isFile(),
    () => false,
  );

/** Whether a run's folder belongs to a sweep. */
export const isOfSweep = async (run: string): Promise<boolean> =>
  basename(dirname(run)) === sweepNames.runs && (await hasPlan(dirname(dirname(run))));

const placeAt = (path: string, name: string, prefix: string): SweepPlace => ({
  ...{ name, path, prefix },
  runs: join(path, sweepNames.runs),
});

/**
 * The sweeps of a folder. The folder may be the folder of one sweep, the folder of a sweep's runs, or a folder that
 * contains sweeps' folders.
 */
export const sweepPlaces = async (folder: string): Promise<readonly SweepPlace[]> => {
  const above = dirname(folder);
  if (basename(folder) === sweepNames.runs && (await hasPlan(above))) return [placeAt(above, basename(above), "")];
  if (await hasPlan(folder)) return [placeAt(folder, basename(folder), `${basename(folder)}:`)];
  if (!(await findsFolder(folder))) return [];
  const names = (await readdir(folder)).filter((name) => !name.startsWith("."));
  const found = await Promise.all(names.map((name) => hasPlan(join(folder, name))));
  return names.filter((_, i) => found[i]).map((name) => placeAt(join(folder, name), name, `${name}:`));
};

/** Path for a command in the studio's current folder. */
const shownPath = (path: string): string => {
  const short = relative("", path);
  return short === "" || short.startsWith("..") ? path : short;
};

/** Command that trains the best setting on the whole text. */
const commandOf = (path: string, { result, data, teachers }: SweepProgress): string | null => {
  if (result === null || result.winner === null || data === null) return null;
  const text = isCorpusName(data) ? data : shownPath(data);
  const learning = teachers.flatMap((one) => ["--teacher", isHubName(one) ? one : shownPath(one)]);
  return commandLine(["train", "--data", text, ...learning, "--config", shownPath(join(path, sweepNames.winner))]);
};

const read = async ({ name, path, prefix }: SweepPlace): Promise<SweepSummary | undefined> => {
  const progress = await readSweepProgress(path);
  if (progress === undefined) return undefined;
  const { seeds, stop, phase, result, settings } = progress;
  return {
    ...{ name, isRunning: false, seeds, stop, phase, result },
    settings: settings.map(({ runs, ...setting }) => ({ ...setting, runs: runs.map((run) => `${prefix}${run}`) })),
    command: commandOf(path, progress),
  };
};

/** Changes if a file of the sweep, other than its runs, changes. */
const versionOf = async (path: string): Promise<string> => {
  const files = [sweepNames.plan, sweepNames.progress, sweepNames.result].map((name) =>
    stat(join(path, name)).then(
      ({ ino, size, mtimeMs }) => [ino, size, mtimeMs],
      () => null,
    ),
  );
  return JSON.stringify(await Promise.all(files));
};

export interface SweepShelf {
  /** Reads the sweeps. A sweep with a damaged plan is in `skipped`. */
  list(places: readonly SweepPlace[]): Promise<{
    readonly sweeps: readonly SweepSummary[];
    readonly skipped: RunListAnswer["skipped"];
  }>;
}

export const openSweepShelf = (): SweepShelf => {
  const known = new Map<string, { readonly version: string; readonly summary: SweepSummary | undefined }>();
  const summaryOf = async (place: SweepPlace): Promise<SweepSummary | undefined> => {
    const version = await versionOf(place.path);
    const before = known.get(place.path);
    const summary = before?.version === version ? before.summary : await read(place);
    known.set(place.path, { version, summary });
    const isRunning = (await lockHolder(join(place.path, sweepNames.lock))) !== null;
    return summary === undefined ? undefined : { ...summary, isRunning };
  };
  return {
    async list(places) {
      const sweeps: SweepSummary[] = [];
      const skipped: { name: string; reason: string }[] = [];
      for (const place of places) {
        try {
          const summary = await summaryOf(place);
          if (summary !== undefined) sweeps.push(summary);
        } catch (error) {
          const isKnown = error instanceof ForetokenError || systemErrorCode(error) !== undefined;
          if (!isKnown || !(error instanceof Error)) throw error;
          skipped.push({ name: place.name, reason: error.message });
        }
      }
      return { sweeps, skipped };
    },
  };
};
