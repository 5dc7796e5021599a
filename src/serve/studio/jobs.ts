/** The run that this studio computes: at most one. It goes on when the page is closed. */

import { presetOf } from "../../config/preset-of.ts";
import { oneLine, shorten } from "../../core/text/one-line.ts";
import type { StartEvent } from "../../runs/events.ts";
import type { ListedRun } from "../../runs/list/runs.node.ts";
import { type TrainOptions, train } from "../../worker/train.node.ts";
import { HttpError } from "../http/http-error.ts";
import type { OwnRuns } from "./runs.ts";
import type { Turns } from "./turns.ts";

/** A run that its own program computes, in the process of the studio. */
export interface AdoptedRun {
  /** Wait for it before each event that is taken: it resolves at once, unless a text is written. */
  turn(): Promise<void>;
  /** The run has ended, and its folder is free. A second call does nothing. */
  end(): void;
}

interface Job {
  readonly name: string;
  /** Asks it to save and stop. */
  readonly stop: () => void;
  /** Resolves when the run has ended and its folder is free. */
  readonly ended: Promise<void>;
  /** Whether its first event has come: before, nothing is saved. */
  hasBegun: boolean;
}

export interface Jobs extends OwnRuns {
  /**
   * Begins to compute a run, and returns when its first event has come.
   * @param name of its folder.
   * @returns lines for the user, such as that another text is used.
   * @throws the run's own error if it cannot begin, HttpError if another one is under way.
   */
  start(name: string, options: TrainOptions): Promise<readonly string[]>;
  /** @throws HttpError if another run is under way, or the studio closes. */
  checkFree(): void;
  /** Takes in a run that the same process computes by itself, outside of the studio, as if it was begun here. */
  adopt(name: string, start: StartEvent, stop: () => void): AdoptedRun;
  /** Asks the run to save and stop; false: this studio does not compute it. */
  stop(name: string): boolean;
  /** The run under way, or one that is about to begin. */
  current(): string | undefined;
  /** Stops the run, and waits until it is saved. Nothing is begun any more. @returns its name; undefined: nothing was to be saved. */
  close(): Promise<string | undefined>;
}

const lineOf = (error: unknown): string =>
  oneLine(shorten(error instanceof Error ? error.message : String(error), 280));

/** A run whose folder does not say yet what it is. */
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

/** What is known of this studio's runs, by their names, besides their folders. */
const createLedger = () => {
  const failures = new Map<string, string>();
  /** Stopped before they could note an end: their notes are those of a run that was killed. */
  const stopped = new Set<string>();
  /** As they were when they began. */
  const begun = new Map<string, ListedRun>();
  return {
    failures,
    stopped,
    noteStart(name: string, start: StartEvent | undefined): void {
      if (start !== undefined && start.out !== null) begun.set(name, listedAtStart(name, start.out, start));
    },
    /** A run has begun. Only then: a refusal must not hide where an earlier one was saved. */
    forgetEnds(name: string): void {
      failures.delete(name);
      stopped.delete(name);
    },
    /** Runs that are under way or have failed. */
    begun: (underWay: string | undefined): readonly ListedRun[] =>
      [...begun.values()].filter(({ name }) => underWay === name || failures.has(name)),
  };
};

const underWayError = (name: string): HttpError => {
  const must = "one run at a time can be computed";
  const hint = "again when it has ended or is stopped";
  return new HttpError(409, `studio: ${must}; got ${JSON.stringify(name)} under way; try ${hint}`);
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
 * @param onFailure is called with the error of a run that has ended with one: its line may be all that tells where it is saved.
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
    if (isClosed) throw new HttpError(409, "studio: nothing can be begun while it closes");
    if (job !== undefined) throw underWayError(job.name);
  };

  /** Takes the events after the first one. The worker is at most one ahead: it stands still while a text is written. */
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
      // At once: what is asked for while it begins is refused.
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
    isUnderWay: (name) => job?.name === name,
    isPaused: (name) => job?.name === name && turns.isTaken(),
    failureOf: (name) => failures.get(name) ?? null,
    wasStopped: (name) => stopped.has(name),
    begun: () => begun(job?.name),
    async close() {
      isClosed = true;
      const last = job;
      last?.stop();
      // Of a run that still reads its text nothing is to be saved; reading a large one takes longer than whoever ends the studio waits.
      if (last?.hasBegun !== true) return undefined;
      await last.ended;
      return failures.has(last.name) ? undefined : last.name;
    },
  };
};
