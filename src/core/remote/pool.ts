/** Threads that work on calls. One idle thread is kept for the next call: starting one takes longer than a step. */
import type { Caller } from "./caller.ts";

/** A thread for one user, until it is released. */
export interface WorkerThread extends Pick<Caller, "call"> {
  isAlive(): boolean;
  /** Its calls under way no longer keep the process alive. It is ended when it is released. */
  leave(): void;
  /** Gives the thread back. If it is not kept, it is ended, and running calls fail. */
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
  /** Starts a thread for a later `take`: it loads its modules at the same time as this thread loads its own. */
  prepare(): void;
  /** A thread that no one else uses. */
  take(): WorkerThread;
}

/** Keeps at most one idle thread. */
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
      let isLeft = false;
      return {
        call: (method, args, options) => thread.caller.call(method, args, options),
        isAlive: thread.isAlive,
        leave() {
          isLeft = true;
          thread.caller.leave();
        },
        release() {
          if (isReleased) return;
          isReleased = true;
          if (!isLeft && thread.isAlive() && idle?.isAlive() !== true) idle = thread;
          else thread.end();
        },
      };
    },
  };
};
