/**
 * Pool of worker threads. The pool keeps one idle thread for the next call, because starting a thread takes longer than
 * a step.
 */
import type { Caller } from "./caller.ts";

/** A worker thread that belongs to one user until the user releases it. */
export interface WorkerThread extends Pick<Caller, "call"> {
  isAlive(): boolean;
  /** The thread's running calls no longer keep the process alive. The thread ends when it is released. */
  leave(): void;
  /**
   * Returns the thread to the pool. If the pool does not keep the thread, the thread ends, and the calls that run on it
   * fail.
   */
  release(): void;
}

/** A started thread. */
export interface StartedThread {
  readonly caller: Caller;
  isAlive(): boolean;
  end(): void;
}

/** Threads that run the same module. */
export interface ThreadPool {
  /** Starts a thread for a later `take`, so that it loads its modules in parallel with this thread. */
  prepare(): void;
  /** Returns a thread that no user holds. */
  take(): WorkerThread;
}

/** Creates a pool that keeps at most one idle thread. */
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
