import { errorOfMessage, messageOfError } from "./error-message.ts";
import { type CallerMessage, eventsAhead, type WorkerMessage } from "./messages.ts";

/** Options of a call, besides its arguments. */
export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
  /** Callbacks, by the names that the method uses. */
  readonly callbacks?: Readonly<Record<string, (...args: never[]) => unknown>>;
}

/** Makes calls of another thread. */
export interface Caller {
  /**
   * Events of the method. Nothing begins before the first event is asked for; the other thread is at most one event
   * ahead. Leaving the loop waits until the other thread has ended the call.
   */
  call(method: string, args: unknown, options?: CallOptions): AsyncGenerator<unknown, void, undefined>;
  /** Takes each message of the other thread. */
  take(message: WorkerMessage): void;
  /** The other thread is gone: all calls fail. */
  fail(error: Error): void;
  /** Nobody waits any more for the calls under way. */
  leave(): void;
}

type Reply = WorkerMessage & { readonly type: "event" | "end" | "error" };

interface Call {
  readonly callbacks: NonNullable<CallOptions["callbacks"]>;
  readonly replies: Reply[];
  /** Errors of callbacks that the other thread waited for, by their numbers. */
  readonly thrown: Map<number, unknown>;
  /** Whether somebody waits for a reply. */
  waits: boolean;
  /** Callbacks running here that the other thread waits for. */
  answering: number;
  /** Why the call has failed on this side: the other thread is gone. */
  failure: { readonly error: unknown } | undefined;
  wake: () => void;
}

/**
 * Tells who waits for the other thread: a call whose callback is running waits for this thread, not for that one.
 * @param waiting as of `createCaller`.
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

/** Waits for the call's next reply. @throws what the call has failed with on this side. */
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

/** Runs a callback that the other thread waits for; returns the answer to it. */
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
      // The other thread throws it where the callback was called: the end of the call shows the result.
      state.thrown.set(asked, thrown);
      return messageOfError(thrown);
    },
  );
  state.answering--;
  tellWaiting();
  return { type: "answer", call, asked, error };
};

/**
 * @param post sends to the other thread.
 * @param waiting is called when somebody begins to wait for the other thread, and when nobody does any more.
 */
export const createCaller = (
  post: (message: CallerMessage) => void,
  waiting: (somebody: boolean) => void = () => {},
): Caller => {
  const calls = new Map<number, Call>();
  let called = 0;
  /** Why the other thread is gone. */
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
        // Throws for arguments that cannot be sent: then there is no call.
        post({ type: "call", call, method, args, aborted: signal?.aborted === true });
        open = true;
        signal?.addEventListener("abort", abort);
        for (;;) {
          const message = await nextReply(state, tellWaiting);
          if (message.type === "event") {
            yield message.value;
            // The second event is asked for when the first was taken: leaving the loop at once has begun nothing else.
            post({ type: "more", call, events: isFirst ? 1 + eventsAhead : 1 });
            isFirst = false;
            continue;
          }
          open = false;
          if (message.type === "end") return;
          // The caller's own error, as it was thrown.
          if (message.callback !== null) throw state.thrown.get(message.callback);
          // The other thread has its own signal: this one has the caller's reason.
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
