/** The runs of a folder as the studio lists them: read again only where files have changed. */
import { basename, join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { lockHolder } from "../../io/lock.node.ts";
import { findsFolder } from "../../runs/finds-folder.node.ts";
import { folderNames } from "../../runs/folder-names.ts";
import { type KnownRuns, type ListedRun, readRuns } from "../../runs/list/runs.node.ts";
import { HttpError } from "../http/http-error.ts";
import type { RunListAnswer, RunOwner, RunSummary } from "./protocol.ts";

/** What this studio knows of its own runs, besides their folders. */
export interface OwnRuns {
  /** Whether this studio computes the run now. */
  isUnderWay(name: string): boolean;
  isPaused(name: string): boolean;
  /** Why the run failed in this studio, in one line; null: it did not. */
  failureOf(name: string): string | null;
  /** Whether the run was stopped in this studio before it could note its end. */
  wasStopped(name: string): boolean;
  /** Runs that were begun here and are under way or have failed: a folder says what it is only after its first step. */
  begun(): readonly ListedRun[];
}

/** The list at one time. */
export interface ListVersion {
  readonly answer: RunListAnswer;
  /** The answer as JSON: lists with the same one are the same. */
  readonly json: string;
}

export interface RunShelf {
  /** Its path. */
  readonly folder: string;
  /** The list now. */
  list(): Promise<RunListAnswer>;
  /** A run now, with the path of its folder. @throws HttpError if the list has none of that name. */
  find(name: string): Promise<{ readonly path: string; readonly summary: RunSummary }>;
  /** The first version of the list that differs from `seen`; undefined if the signal was aborted. */
  change(seen: string | undefined, signal: AbortSignal): Promise<ListVersion | undefined>;
  /** Looks at the folder at once: something has changed that it does not show. */
  touch(): void;
}

/** The shortest time from one look at the folder to the next. */
const lookMs = 1000;
/** Looking takes at most this share of the time: cores are for the run. */
const share = 1 / 20;

/** How a run that nobody computes has ended. */
const endOf = ({ name, state }: ListedRun, own: OwnRuns): RunSummary["state"] => {
  // The folder knows it as well, unless it could not be written any more.
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
    `${JSON.stringify(name)}: must name a run of the folder; got none of that name; try the list of runs`,
  );

/** Looks at the folder of runs: who asks while a look is under way shares the one after it. */
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
    /** Never from before the call: a run that was just started is among them. */
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
    /** Folders that the last look has skipped. */
    skipped: () => skipped,
  };
};

/** Waits for changes of the list: one loop looks for all who wait, and only while somebody waits. */
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
      // A folder that cannot be looked at now may be there again later.
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
      // At once, but not more often than the shortest time allows: the loop counts from the last look.
      if (performance.now() - lastLook > lookMs) wake?.abort();
    },
  };
};

/** @param folder the folder of runs; one that is missing has none. */
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
