import { errorOfMessage, messageOfError } from "./error-message.ts";
import { type CallerMessage, eventsAhead, type WorkerMessage } from "./messages.ts";

/** Options of a call, in addition to its arguments. */
export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
  /** Callbacks, by the names under which the method calls them. */
  readonly callbacks?: Readonly<Record<string, (...args: never[]) => unknown>>;
}

/** Calls methods that run on another thread. */
export interface Caller {
  /**
   * Yields the events of the method. The method starts when the first event is requested. Later the other thread
   * computes at most one event in advance. A caller that leaves the loop waits until the other thread has ended the
   * call.
   */
  call(method: string, args: unknown, options?: CallOptions): AsyncGenerator<unknown, void, undefined>;
  /** Handles a message from the other thread. */
  take(message: WorkerMessage): void;
  /** Fails all calls, because the other thread has ended. */
  fail(error: Error): void;
  /** Marks the running calls as abandoned, because no code awaits them any more. */
  leave(): void;
}

type Reply = WorkerMessage & { readonly type: "event" | "end" | "error" };

interface Call {
  readonly callbacks: NonNullable<CallOptions["callbacks"]>;
  readonly replies: Reply[];
  /** Errors that callbacks threw while the other thread awaited them, by callback number. */
  readonly thrown: Map<number, unknown>;
  /** Whether a reply is awaited. */
  waits: boolean;
  /** Number of callbacks that run here while the other thread awaits them. */
  answering: number;
  /** The error with which the call failed on this side, because the other thread has ended. */
  failure: { readonly error: unknown } | undefined;
  wake: () => void;
}

/**
 * Reports whether any call is waiting for the other thread. While a callback of a call runs here, the other thread
 * waits for this thread, so that call does not count.
 * @param waiting as in `createCaller`.
 */
const waitTeller = (calls: ReadonlyMap<number, Call>, waiting: (somebody: boolean) => void) => {
  let isAwaited = false;
  let isLeft = false;
  const tellWaiting = (): void => {
    const now = !isLeft && [...calls.values()].some(({ waits, answering }) => waits && answering === 0);
    if (now !== isAwaited) waiting(now);
    isAwaited = now;
  };
  const leave = (): void => {
    isLeft = true;
    tellWaiting();
  };
  return { tellWaiting, leave };
};

/** Waits for the call's next reply. @throws the error with which the call failed on this side. */
const nextReply = async (state: Call, tellWaiting: () => void): Promise<Reply> => {
  state.waits = true;
  tellWaiting();
  try {
    while (state.replies.length === 0 && state.failure === undefined) {
      await new Promise<void>((resolve) => {
        state.wake = resolve;
      });
    }
  } finally {
    state.waits = false;
    tellWaiting();
  }
  if (state.failure !== undefined) throw state.failure.error;
  return state.replies.shift() as Reply;
};

/** Runs a callback that the other thread awaits; returns the answer to send. */
const answerOf = async (
  state: Call,
  { call, name, args, asked }: WorkerMessage & { type: "callback" },
  tellWaiting: () => void,
): Promise<CallerMessage> => {
  const run = async (): Promise<void> => {
    await state.callbacks[name]?.(...(args as never[]));
  };
  state.answering++;
  tellWaiting();
  const error = await run().then(
    () => null,
    (thrown: unknown) => {
      // The other thread throws this error at the place where it called the callback. The end of the call shows whether
      // the method handled the error.
      state.thrown.set(asked, thrown);
      return messageOfError(thrown);
    },
  );
  state.answering--;
  tellWaiting();
  return { type: "answer", call, asked, error };
};

/**
 * Creates a caller.
 * @param post sends a message to the other thread.
 * @param waiting called with true when a call starts to wait for the other thread, and with false when the last wait
 * has ended.
 */
export const createCaller = (
  post: (message: CallerMessage) => void,
  waiting: (somebody: boolean) => void = () => {},
): Caller => {
  const calls = new Map<number, Call>();
  let called = 0;
  /** The error with which the other thread ended. */
  let gone: Error | undefined;
  const { tellWaiting, leave } = waitTeller(calls, waiting);

  return {
    async *call(method, args, { signal, callbacks = {} } = {}) {
      if (gone !== undefined) throw gone;
      const call = ++called;
      const state: Call = {
        ...{ callbacks, replies: [], thrown: new Map(), failure: undefined },
        ...{ waits: false, answering: 0, wake: () => {} },
      };
      calls.set(call, state);
      const abort = (): void => post({ type: "abort", call });
      let open = false;
      let isFirst = true;
      try {
        // If the arguments cannot be sent, this line throws, and the call does not start.
        post({ type: "call", call, method, args, aborted: signal?.aborted === true });
        open = true;
        signal?.addEventListener("abort", abort);
        for (;;) {
          const message = await nextReply(state, tellWaiting);
          if (message.type === "event") {
            yield message.value;
            // The second event is requested only after the caller has taken the first event. If the caller leaves the
            // loop at once, the other thread does no further work.
            post({ type: "more", call, events: isFirst ? 1 + eventsAhead : 1 });
            isFirst = false;
            continue;
          }
          open = false;
          if (message.type === "end") return;
          // The error object that the callback threw is thrown, not a copy.
          if (message.callback !== null) throw state.thrown.get(message.callback);
          // The other thread aborts with the reason of its own signal, but the caller gets the reason of the caller's
          // signal.
          if (message.error.name === "AbortError" && signal?.aborted === true) throw signal.reason;
          throw errorOfMessage(message.error);
        }
      } finally {
        signal?.removeEventListener("abort", abort);
        if (open && calls.has(call)) {
          post({ type: "return", call });
          while (open) {
            const { type } = await nextReply(state, tellWaiting);
            open = type === "event";
          }
        }
        calls.delete(call);
      }
    },
    take(message) {
      const state = calls.get(message.call);
      if (state === undefined) return;
      if (message.type === "callback") void answerOf(state, message, tellWaiting).then(post);
      else {
        state.replies.push(message);
        state.wake();
      }
    },
    leave,
    fail(error) {
      gone ??= error;
      for (const [call, state] of calls) {
        calls.delete(call);
        state.failure = { error };
        state.wake();
      }
    },
  };
};
