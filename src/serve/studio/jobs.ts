/** The run that this studio executes. There is at most one run. The run continues if the page is closed. */

import { presetOf } from "../../config/preset-of.ts";
import { oneLine, shorten } from "../../core/text/one-line.ts";
import type { StartEvent } from "../../runs/events.ts";
import type { ListedRun } from "../../runs/list/runs.node.ts";
import { type TrainOptions, train } from "../../worker/train.node.ts";
import { HttpError } from "../http/http-error.ts";
import type { OwnRuns } from "./runs.ts";
import type { Turns } from "./turns.ts";

/** A run that another part of this process executes, not the studio. */
export interface AdoptedRun {
  /** Await this function before each event. The promise resolves at once if no text is being written. */
  turn(): Promise<void>;
  /** Call this function when the run has ended and its folder is free. A second call does nothing. */
  end(): void;
}

interface Job {
  readonly name: string;
  /** Asks the run to save and stop. */
  readonly stop: () => void;
  /** Resolves when the run has ended and its folder is free. */
  readonly ended: Promise<void>;
  /** Whether the first event of the run has come. Before this event, there is nothing to save. */
  hasBegun: boolean;
}

export interface Jobs extends OwnRuns {
  /**
   * Starts a run, and returns when its first event has come.
   * @param name name of the run's folder.
   * @returns lines for the user, for example that a different text is used.
   * @throws the run's own error if the run cannot begin, or HttpError if another run is in progress.
   */
  start(name: string, options: TrainOptions): Promise<readonly string[]>;
  /** @throws HttpError if another run is in progress, or the studio is closing. */
  checkFree(): void;
  /** Registers a run that this process executes outside the studio. The studio treats it like its own runs. */
  adopt(name: string, start: StartEvent, stop: () => void): AdoptedRun;
  /** Asks the run to save and stop. Returns false if the studio does not execute this run. */
  stop(name: string): boolean;
  /** The run in progress, or the run that is about to begin. */
  current(): string | undefined;
  /** The run in progress, which `close` saves. Undefined if no run has begun. */
  training(): string | undefined;
  /**
   * Stops the run and waits until it is saved. No new run can be started afterwards. @returns the name of the run, or
   * undefined if there was nothing to save.
   */
  close(): Promise<string | undefined>;
}

const lineOf = (error: unknown): string =>
  oneLine(shorten(error instanceof Error ? error.message : String(error), 280));

/** List entry of a run with a folder that does not describe the run yet. */
const listedAtStart = (name: string, path: string, start: StartEvent): ListedRun => {
  const now = new Date().toISOString();
  const { config, parameters, corpus, vocabSize, step, initFrom } = start;
  return {
    ...{
      name,
      path,
      state: "unfinished",
      failure: null,
      startedAt: now,
      updatedAt: now,
      preset: presetOf(config),
      parameters,
      corpus,
    },
    ...{ corpusSha256: "", vocabSize, step, steps: config.train.steps, best: null, rising: false },
    ...{ checkpoint: null, initFrom, config },
  };
};

/** Facts about this studio's runs that are not in the folders of the runs. The keys are the names of the runs. */
const createLedger = () => {
  const failures = new Map<string, string>();
  /**
   * Runs that were stopped before they could log their end. The event logs of stopped runs look like the logs of killed
   * runs.
   */
  const stopped = new Set<string>();
  /** List entries of runs from the time when the runs began. */
  const begun = new Map<string, ListedRun>();
  return {
    failures,
    stopped,
    noteStart(name: string, start: StartEvent | undefined): void {
      if (start !== undefined && start.out !== null) begun.set(name, listedAtStart(name, start.out, start));
    },
    /**
     * Call this function only after a run has begun. If a new run is refused, the error of the earlier run must stay,
     * because it may contain the place where the earlier run was saved.
     */
    forgetEnds(name: string): void {
      failures.delete(name);
      stopped.delete(name);
    },
    /** Runs that are in progress or have failed. */
    begun: (underWay: string | undefined): readonly ListedRun[] =>
      [...begun.values()].filter(({ name }) => underWay === name || failures.has(name)),
  };
};

const underWayError = (name: string): HttpError => {
  const must = "only one run can be computed at a time";
  const hint = "again after that run has ended or was stopped";
  return new HttpError(409, `studio: ${must}; got ${JSON.stringify(name)} in progress; try ${hint}`);
};

const resolvable = () => {
  let done = (): void => {};
  const ended = new Promise<void>((resolve) => {
    done = resolve;
  });
  return { ended, done };
};

const isAbort = (error: unknown): boolean => error instanceof Error && error.name === "AbortError";

/**
 * @param onChange is called when a run begins or ends.
 * @param onFailure is called when a run ends with an error. The line may be the only message with the place where the
 * run was saved.
 */
export const createJobs = (
  turns: Turns,
  onChange: () => void,
  onFailure: (name: string, line: string) => void = () => {},
): Jobs => {
  const { failures, stopped, noteStart, forgetEnds, begun } = createLedger();
  let job: Job | undefined;
  let isClosed = false;

  const checkFree = (): void => {
    if (isClosed) throw new HttpError(409, "studio: no run can be started while the studio closes");
    if (job !== undefined) throw underWayError(job.name);
  };

  /**
   * Takes all events after the first event. The worker is at most one event ahead, so the run pauses while a text is
   * written.
   */
  const takeRest = async (name: string, events: AsyncGenerator<unknown, void, undefined>): Promise<void> => {
    try {
      do await turns.idle();
      while ((await events.next()).done !== true);
    } catch (error) {
      if (isAbort(error)) stopped.add(name);
      else {
        failures.set(name, lineOf(error));
        onFailure(name, lineOf(error));
      }
    }
  };

  return {
    checkFree,
    async start(name, options) {
      checkFree();
      const controller = new AbortController();
      const notices: string[] = [];
      const onNotice = (line: string): void => void notices.push(line);
      const events = train({ ...options, signal: controller.signal, onNotice });
      const first = events.next();
      const end = (): void => {
        job = undefined;
        onChange();
      };
      // Set this at once, so that other runs are refused while this run begins.
      const own: Job = {
        name,
        hasBegun: false,
        stop: () => controller.abort(),
        ended: first.then(({ done }) => (done === true ? undefined : takeRest(name, events))).then(end, end),
      };
      job = own;
      const { value: start } = await first.catch((error: unknown) => {
        if (!isAbort(error)) throw error;
        stopped.add(name);
        throw new HttpError(409, "studio: the run was stopped before it began");
      });
      own.hasBegun = true;
      forgetEnds(name);
      noteStart(name, start?.type === "start" ? start : undefined);
      onChange();
      return [...notices];
    },
    adopt(name, start, stop) {
      checkFree();
      noteStart(name, start);
      const { ended, done } = resolvable();
      const mine: Job = { name, stop, ended, hasBegun: true };
      job = mine;
      onChange();
      return {
        turn: () => turns.idle(),
        end() {
          if (job === mine) job = undefined;
          done();
          onChange();
        },
      };
    },
    stop(name) {
      if (job?.name !== name) return false;
      job.stop();
      return true;
    },
    current: () => job?.name,
    training: () => (job?.hasBegun === true ? job.name : undefined),
    isUnderWay: (name) => job?.name === name,
    isPaused: (name) => job?.name === name && turns.isTaken(),
    failureOf: (name) => failures.get(name) ?? null,
    wasStopped: (name) => stopped.has(name),
    begun: () => begun(job?.name),
    async close() {
      isClosed = true;
      const last = job;
      last?.stop();
      // A run that still reads its text has nothing to save. The studio does not wait for it, because reading a large
      // text may take too long.
      if (last?.hasBegun !== true) return undefined;
      await last.ended;
      return failures.has(last.name) ? undefined : last.name;
    },
  };
};
