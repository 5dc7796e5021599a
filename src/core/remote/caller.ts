import { errorOfMessage, messageOfError } from "./error-message.ts";
import { type CallerMessage, eventsAhead, type WorkerMessage } from "./messages.ts";

/** Options of a call, in addition to its arguments. */
export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
  /** Callbacks, by the names that the method uses. */
  readonly callbacks?: Readonly<Record<string, (...args: never[]) => unknown>>;
}

/** Calls methods of another thread. */
export interface Caller {
  /**
   * Yields the events of the method. Work begins when the first event is requested. Later the other thread is at most
   * one event ahead. Leaving the loop waits until the other thread has ended the call.
   */
  call(method: string, args: unknown, options?: CallOptions): AsyncGenerator<unknown, void, undefined>;
  /** Handles a message from the other thread. */
  take(message: WorkerMessage): void;
  /** Fails all calls, because the other thread has ended. */
  fail(error: Error): void;
  /** Marks the running calls as no longer awaited. */
  leave(): void;
}

type Reply = WorkerMessage & { readonly type: "event" | "end" | "error" };

interface Call {
  readonly callbacks: NonNullable<CallOptions["callbacks"]>;
  readonly replies: Reply[];
  /** Errors of callbacks that the other thread awaited, by callback number. */
  readonly thrown: Map<number, unknown>;
  /** Whether a reply is awaited. */
  waits: boolean;
  /** Number of callbacks running here that the other thread awaits. */
  answering: number;
  /** Reason why the call failed on this side: the other thread has ended. */
  failure: { readonly error: unknown } | undefined;
  wake: () => void;
}

/**
 * Reports whether any call is waiting for the other thread. A call whose callback is running waits for this thread
 * instead.
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
      // The other thread throws this error where it called the callback. The end of the call shows the result.
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
 * @param waiting called with true when a call starts to wait for the other thread, and with false when none waits any
 * more.
 */
export const createCaller = (
  post: (message: CallerMessage) => void,
  waiting: (somebody: boolean) => void = () => {},
): Caller => {
  const calls = new Map<number, Call>();
  let called = 0;
  /** Error with which the other thread ended. */
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
        // Throws if the arguments cannot be sent; the call does not start then.
        post({ type: "call", call, method, args, aborted: signal?.aborted === true });
        open = true;
        signal?.addEventListener("abort", abort);
        for (;;) {
          const message = await nextReply(state, tellWaiting);
          if (message.type === "event") {
            yield message.value;
            // Request the second event only after the first was taken, so that leaving the loop at once starts no
            // further work.
            post({ type: "more", call, events: isFirst ? 1 + eventsAhead : 1 });
            isFirst = false;
            continue;
          }
          open = false;
          if (message.type === "end") return;
          // Throw the callback's error object itself, not a copy.
          if (message.callback !== null) throw state.thrown.get(message.callback);
          // The other thread aborts with its own signal. Throw the reason of the caller's signal.
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
