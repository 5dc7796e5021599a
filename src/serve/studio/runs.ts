/** The list of a folder's runs and sweeps. Files are read again only after they have changed. */
import { basename, dirname, join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { lockHolder } from "../../io/lock.node.ts";
import { loraLayout } from "../../models/lora/layout.ts";
import { findsFolder } from "../../runs/finds-folder.node.ts";
import { folderNames } from "../../runs/folder-names.ts";
import { type KnownRuns, type ListedRun, type RunList, readRuns } from "../../runs/list/runs.node.ts";
import { HttpError } from "../http/http-error.ts";
import type { RunListAnswer, RunOwner, RunSummary } from "./protocol.ts";
import { openSweepShelf, type SweepPlace, sweepPlaces } from "./sweeps.ts";

/** Facts about this studio's own runs that are not in the folders of the runs. */
export interface OwnRuns {
  /** Whether this studio currently executes the run. */
  isUnderWay(name: string): boolean;
  isPaused(name: string): boolean;
  /** The error with which the run failed in this studio, in one line. Null: the run did not fail. */
  failureOf(name: string): string | null;
  /** Whether the run was stopped in this studio before it could log its end. */
  wasStopped(name: string): boolean;
  /**
   * Runs that were started here and are in progress or have failed. These runs are listed here because a folder
   * describes its run only after the first step.
   */
  begun(): readonly ListedRun[];
}

/** One version of the list. */
export interface ListVersion {
  readonly answer: RunListAnswer;
  /** The response as JSON. Two versions with equal JSON are the same. */
  readonly json: string;
}

export interface RunShelf {
  /** Its path. */
  readonly folder: string;
  /** The current list. */
  list(): Promise<RunListAnswer>;
  /** The current runs, with the paths of their folders. */
  runs(): Promise<readonly ListedRun[]>;
  /**
   * The current summary of a run, and the path of its folder. @throws HttpError if the list has no run with this name.
   */
  find(name: string): Promise<{ readonly path: string; readonly summary: RunSummary }>;
  /**
   * Waits for the first version of the list that differs from `seen`. Resolves to undefined if the signal was aborted.
   */
  change(seen: string | undefined, signal: AbortSignal): Promise<ListVersion | undefined>;
  /** Reads the folder again soon, after a change that the folder does not show. */
  touch(): void;
}

/** Minimum time in milliseconds between two reads of the folder. */
const lookMs = 1000;
/** Maximum share of time for reading the folder, because the run needs the cores. */
const share = 1 / 20;

/** The state of a run that no process executes. */
const endOf = ({ name, state }: ListedRun, own: OwnRuns): RunSummary["state"] => {
  // The folder usually records the failure too. The record is missing if it could no longer be written.
  if (own.failureOf(name) !== null) return "failed";
  return state === "unfinished" && own.wasStopped(name) ? "interrupted" : state;
};

const summaryOf = async (run: ListedRun, own: OwnRuns): Promise<RunSummary> => {
  const { path, checkpoint, ...listed } = run;
  const { name, config } = listed;
  const failure = own.failureOf(name) ?? run.failure;
  const isOurs = own.isUnderWay(name);
  const holder = isOurs ? null : await lockHolder(join(path, folderNames.lock));
  const owner: RunOwner = isOurs ? "studio" : holder === null ? null : "elsewhere";
  return {
    ...listed,
    owner,
    state: owner === null ? endOf(run, own) : listed.state === "failed" ? "unfinished" : listed.state,
    failure: owner === null ? failure : null,
    paused: own.isPaused(name),
    adapterParameters: config.lora === undefined ? null : loraLayout(config.model, config.lora).count,
    hasCheckpoint: checkpoint !== null,
  };
};

const noRun = (name: string): HttpError =>
  new HttpError(
    404,
    `${JSON.stringify(name)}: must name a run of the folder; no run has this name; try the list of runs`,
  );

/** The contents of the folder. */
interface Found extends Pick<RunListAnswer, "sweeps" | "skipped"> {
  readonly runs: readonly ListedRun[];
}

/** A run with the beginning of its name that its sweep gave it; empty for a run outside sweeps. */
interface OwnedRun {
  readonly run: ListedRun;
  readonly prefix: string;
}

const takenName = "its name must not begin like the names of a sweep's runs; try renaming the folder";

/** Whether a name begins like the runs of another sweep, so that it could be mistaken for one of them. */
const isTaken = (name: string, prefix: string, places: readonly SweepPlace[]): boolean =>
  places.some((place) => place.prefix.length > prefix.length && name.startsWith(place.prefix));

/** Reads the folder of runs and its sweeps. Callers that come during a read share the read that follows. */
const sharedLook = (folder: string, own: OwnRuns) => {
  const known = new Map<string, KnownRuns>();
  const shelf = openSweepShelf();
  let looking: Promise<Found> | undefined;
  let following: Promise<Found> | undefined;

  const runsIn = async (path: string): Promise<RunList> => {
    const before = known.get(path) ?? new Map();
    known.set(path, before);
    return (await findsFolder(path)) ? readRuns(path, before) : { runs: [], skipped: [] };
  };
  const runsOfSweep = async ({ runs, prefix }: SweepPlace): Promise<readonly OwnedRun[]> =>
    prefix === ""
      ? []
      : (await runsIn(runs)).runs.map((run) => ({ run: { ...run, name: `${prefix}${run.name}` }, prefix }));

  const look = async (): Promise<Found> => {
    const found = await runsIn(folder);
    const places = await sweepPlaces(folder);
    const { sweeps, skipped: damaged } = await shelf.list(places);
    const ofSweeps = (await Promise.all(places.map(runsOfSweep))).flat();
    const all = [...found.runs.map((run) => ({ run, prefix: "" })), ...ofSweeps];
    const isClear = ({ run, prefix }: OwnedRun): boolean => !isTaken(run.name, prefix, places);
    const runs = all.filter(isClear).map(({ run }) => run);
    const unclear = all.filter((one) => !isClear(one)).map(({ run: { name } }) => ({ name, reason: takenName }));
    const begun = own.begun().filter(({ name }) => !runs.some((run) => run.name === name));
    const isOfSweep = (path: string): boolean =>
      places.some((place) => place.path === path || (place.path === folder && dirname(path) === folder));
    const skipped = found.skipped.flatMap(({ path, reason }) => {
      const name = basename(path);
      if (begun.some((run) => run.name === name) || isOfSweep(path)) return [];
      return [{ name, reason: reason.startsWith(path) ? reason.slice(path.length).replace(/^[/\\: ]+/u, "") : reason }];
    });
    return { runs: [...begun, ...runs], sweeps, skipped: [...skipped, ...unclear, ...damaged] };
  };
  const begin = (): Promise<Found> => {
    looking = look().finally(() => {
      looking = undefined;
    });
    return looking;
  };
  return {
    /**
     * The result of a read that began after this call, never an earlier result. So the result includes a run that was
     * just started.
     */
    found(): Promise<Found> {
      if (looking === undefined) return begin();
      following ??= looking
        .catch(() => undefined)
        .then(() => {
          following = undefined;
          return begin();
        });
      return following;
    },
  };
};

/**
 * Waits for changes of the list. One loop reads the folder for all waiting callers. The loop reads only while callers
 * wait.
 */
const changesOf = (list: () => Promise<RunListAnswer>): Pick<RunShelf, "change" | "touch"> => {
  let version: ListVersion | undefined;
  let waiting = 0;
  let wake: AbortController | undefined;
  let lastLook = 0;
  let lookTook = 0;
  const listeners = new Set<() => void>();

  const tell = (): void => {
    for (const listener of [...listeners]) listener();
  };
  const refresh = async (): Promise<ListVersion> => {
    const answer = await list();
    const json = JSON.stringify(answer);
    if (version?.json === json) return version;
    version = { answer, json };
    tell();
    return version;
  };
  const watch = async (): Promise<void> => {
    while (waiting > 0) {
      const rest = Math.max(lookMs, lookTook / share) - (performance.now() - lastLook);
      if (rest > 0) {
        wake = new AbortController();
        await pause(rest, undefined, { signal: wake.signal, ref: false }).catch(() => undefined);
        wake = undefined;
        if (waiting === 0) return;
      }
      lastLook = performance.now();
      // A folder that cannot be read may be readable again later.
      await refresh().catch(() => undefined);
      lookTook = performance.now() - lastLook;
    }
  };
  let isWatching = false;
  const startWatching = (): void => {
    if (isWatching) return;
    isWatching = true;
    void watch().finally(() => {
      isWatching = false;
      if (waiting > 0) startWatching();
    });
  };

  const nextTold = (signal: AbortSignal): Promise<void> =>
    new Promise((resolve) => {
      const done = (): void => {
        listeners.delete(done);
        signal.removeEventListener("abort", done);
        resolve();
      };
      listeners.add(done);
      signal.addEventListener("abort", done);
      if (signal.aborted) done();
    });

  return {
    async change(seen, signal) {
      if (seen === undefined && !signal.aborted) return refresh();
      waiting++;
      startWatching();
      try {
        for (;;) {
          if (signal.aborted) return undefined;
          if (version !== undefined && version.json !== seen) return version;
          await nextTold(signal);
        }
      } finally {
        waiting--;
        if (waiting === 0) wake?.abort();
      }
    },
    touch: () => {
      // Wakes the loop if its last read was at least `lookMs` milliseconds ago.
      if (performance.now() - lastLook > lookMs) wake?.abort();
    },
  };
};

/** @param folder the folder of runs. A missing folder counts as empty. */
export const openShelf = (folder: string, own: OwnRuns): RunShelf => {
  const { found: read } = sharedLook(folder, own);
  const list = async (): Promise<RunListAnswer> => {
    const { runs, ...found } = await read();
    return { runs: await Promise.all(runs.map((run) => summaryOf(run, own))), ...found };
  };
  return {
    folder,
    list,
    runs: async () => (await read()).runs,
    async find(name) {
      const found = (await read()).runs.find((run) => run.name === name);
      if (found === undefined) throw noRun(name);
      return { path: found.path, summary: await summaryOf(found, own) };
    },
    ...changesOf(list),
  };
};
