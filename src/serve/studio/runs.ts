/** The list of runs of a folder. A file is read again only if it has changed. */
import { basename, join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { lockHolder } from "../../io/lock.node.ts";
import { findsFolder } from "../../runs/finds-folder.node.ts";
import { folderNames } from "../../runs/folder-names.ts";
import { type KnownRuns, type ListedRun, readRuns } from "../../runs/list/runs.node.ts";
import { HttpError } from "../http/http-error.ts";
import type { RunListAnswer, RunOwner, RunSummary } from "./protocol.ts";

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
  const { name } = listed;
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
    hasCheckpoint: checkpoint !== null,
  };
};

const noRun = (name: string): HttpError =>
  new HttpError(
    404,
    `${JSON.stringify(name)}: must name a run of the folder; no run has this name; try the list of runs`,
  );

/** Reads the folder of runs. Callers that come during a read share the next read. */
const sharedLook = (folder: string, own: OwnRuns) => {
  const known: KnownRuns = new Map();
  let looking: Promise<readonly ListedRun[]> | undefined;
  let following: Promise<readonly ListedRun[]> | undefined;
  let skipped: RunListAnswer["skipped"] = [];

  const look = async (): Promise<readonly ListedRun[]> => {
    const found = (await findsFolder(folder)) ? await readRuns(folder, known) : { runs: [], skipped: [] };
    const begun = own.begun().filter(({ name }) => !found.runs.some((run) => run.name === name));
    skipped = found.skipped.flatMap(({ path, reason }) => {
      const name = basename(path);
      if (begun.some((run) => run.name === name)) return [];
      return [{ name, reason: reason.startsWith(path) ? reason.slice(path.length).replace(/^[/\\: ]+/u, "") : reason }];
    });
    return [...begun, ...found.runs];
  };
  const begin = (): Promise<readonly ListedRun[]> => {
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
    runs(): Promise<readonly ListedRun[]> {
      if (looking === undefined) return begin();
      following ??= looking
        .catch(() => undefined)
        .then(() => {
          following = undefined;
          return begin();
        });
      return following;
    },
    /** Folders that the last read skipped. */
    skipped: () => skipped,
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
  const { runs, skipped } = sharedLook(folder, own);
  const list = async (): Promise<RunListAnswer> => {
    const found = await runs();
    return { runs: await Promise.all(found.map((run) => summaryOf(run, own))), skipped: skipped() };
  };
  return {
    folder,
    list,
    async find(name) {
      const found = (await runs()).find((run) => run.name === name);
      if (found === undefined) throw noRun(name);
      return { path: found.path, summary: await summaryOf(found, own) };
    },
    ...changesOf(list),
  };
};
