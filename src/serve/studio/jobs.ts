/** The run that this studio computes: at most one. It goes on when the page is closed. */
import { oneLine, shorten } from "../../core/one-line.ts";
import { lockHolder } from "../../io/lock.node.ts";
import { type TrainOptions, train } from "../../worker/train.node.ts";
import { HttpError } from "../http/json.ts";
import type { OwnRuns } from "./runs.ts";
import type { Turns } from "./turns.ts";

interface Job {
  readonly name: string;
  readonly controller: AbortController;
  /** Resolves when the run has ended and its folder is free. */
  ended: Promise<void>;
}

export interface Jobs extends OwnRuns {
  /**
   * Begins to compute a run, and returns when its first event has come.
   * @param name of its folder.
   * @throws the run's own error if it cannot begin, HttpError if another one is under way.
   */
  start(name: string, options: TrainOptions): Promise<void>;
  /** Asks the run to save and stop; false: this studio does not compute it. */
  stop(name: string): boolean;
  /** The run under way, or one that is about to begin. */
  current(): string | undefined;
  /** Stops the run, and waits until it is saved. Nothing is begun any more. */
  close(): Promise<void>;
}

const isAbort = (error: unknown): boolean => error instanceof Error && error.name === "AbortError";

/** @param onChange is called when a run begins or ends. */
export const createJobs = (turns: Turns, onChange: () => void): Jobs => {
  const failures = new Map<string, string>();
  let job: Job | undefined;
  let isClosed = false;

  /** Takes the events after the first one. The worker is at most one ahead: it stands still while a text is written. */
  const pump = async (name: string, events: AsyncGenerator<unknown, void, undefined>): Promise<void> => {
    try {
      for (;;) {
        await turns.idle();
        if ((await events.next()).done === true) return;
      }
    } catch (error) {
      if (!isAbort(error))
        failures.set(name, oneLine(shorten(error instanceof Error ? error.message : String(error), 280)));
    }
  };

  const refuse = (): HttpError => {
    if (isClosed) return new HttpError(409, "studio: nothing can be begun while it closes");
    const must = "one run at a time can be computed";
    return new HttpError(
      409,
      `studio: ${must}; got ${JSON.stringify(job?.name)} under way; try again when it has ended or is stopped`,
    );
  };

  return {
    async start(name, options) {
      if (job !== undefined || isClosed) throw refuse();
      const controller = new AbortController();
      const mine: Job = { name, controller, ended: Promise.resolve() };
      // At once: what comes while it begins is refused.
      job = mine;
      const end = (): void => {
        job = undefined;
        onChange();
      };
      const events = train({ ...options, signal: controller.signal });
      let begun = (): void => {};
      mine.ended = new Promise((resolve) => {
        begun = resolve;
      });
      try {
        failures.delete(name);
        const first = await events.next();
        if (first.done === true) {
          begun();
          end();
          return;
        }
      } catch (error) {
        begun();
        end();
        throw isAbort(error) ? new HttpError(409, "studio: the run was stopped before it began") : error;
      }
      void pump(name, events).finally(() => {
        end();
        begun();
      });
      onChange();
    },
    stop(name) {
      if (job?.name !== name) return false;
      job.controller.abort();
      return true;
    },
    current: () => job?.name,
    isUnderWay: (name) => job?.name === name,
    isPaused: (name) => job?.name === name && turns.isTaken(),
    failureOf: (name) => failures.get(name) ?? null,
    async close() {
      isClosed = true;
      job?.controller.abort();
      await job?.ended;
    },
  };
};

/**
 * Stops a run that another process computes, as Ctrl-C in its terminal would.
 * @param lock the path of the run's lock.
 */
export const stopElsewhere = async (lock: string): Promise<void> => {
  const holder = await lockHolder(lock);
  if (holder === null) throw new HttpError(409, "stop: the run must be under way; got one that nobody computes");
  if (holder.isOwn || !holder.isNear) {
    const got = holder.isOwn ? "one of this process" : "one on another machine or in another container";
    throw new HttpError(409, `stop: the run must be one that can be stopped from here; got ${got}`);
  }
  try {
    process.kill(holder.pid, "SIGTERM");
  } catch {
    throw new HttpError(
      409,
      `stop: process ${holder.pid} must be one that may be stopped; got a refusal of the system`,
    );
  }
};
