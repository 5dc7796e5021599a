/** Threads that work on calls. One that is free is kept for the next call: to start one takes longer than a step. */
import type { Caller } from "./caller.ts";

/** A thread of its own, until it is given back. */
export interface WorkerThread extends Pick<Caller, "call"> {
  /** For the next who asks; a call that is under way fails. */
  release(): void;
}

/** A thread that was started. */
export interface StartedThread {
  readonly caller: Caller;
  isAlive(): boolean;
  end(): void;
}

/** Threads that run the same module. */
export interface ThreadPool {
  /** Starts a thread for who will ask for one soon: it loads its modules beside those of this one. */
  prepare(): void;
  /** A thread that nobody else has. */
  take(): WorkerThread;
}

/** Keeps at most one thread that nobody has. */
export const createPool = (start: () => StartedThread): ThreadPool => {
  let idle: StartedThread | undefined;
  return {
    prepare() {
      if (idle?.isAlive() !== true) idle = start();
    },
    take() {
      const thread = idle?.isAlive() === true ? idle : start();
      idle = undefined;
      let isReleased = false;
      return {
        call: (method, args, options) => thread.caller.call(method, args, options),
        release() {
          if (isReleased) return;
          isReleased = true;
          if (thread.isAlive() && idle?.isAlive() !== true) idle = thread;
          else thread.end();
        },
      };
    },
  };
};
