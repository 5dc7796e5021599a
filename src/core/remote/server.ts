import { errorOfMessage, messageOfError } from "./error-message.ts";
import type { CallerMessage, WorkerMessage } from "./messages.ts";

/** A method of a worker receives this object in addition to its arguments. */
export interface CallContext {
  readonly signal: AbortSignal;
  /**
   * Calls a callback of the caller and waits for its result. If the callback throws an error, this function throws it
   * too.
   */
  ask(name: string, ...args: readonly unknown[]): Promise<void>;
}

/** Methods by name. If a method yields events, the caller iterates over them. */
export type Methods = Readonly<Record<string, (args: never, context: CallContext) => AsyncGenerator<unknown, void>>>;

interface Call {
  readonly controller: AbortController;
  readonly answers: Map<number, { resolve(): void; reject(error: unknown): void }>;
  /** Errors that callbacks threw, with the numbers of the callbacks. */
  readonly thrown: Map<unknown, number>;
  /** Number of events that may still be sent. */
  wanted: number;
  returned: boolean;
  wake: () => void;
}

/** Runs the calls that arrive on `port`. */
export const serve = (
  methods: Methods,
  port: { post(message: WorkerMessage): void; onMessage(take: (message: CallerMessage) => void): void },
): void => {
  const calls = new Map<number, Call>();

  const contextOf = (call: number, { controller, answers }: Call): CallContext => {
    let asked = 0;
    return {
      signal: controller.signal,
      ask: (name, ...args) =>
        new Promise((resolve, reject) => {
          answers.set(++asked, { resolve, reject });
          port.post({ type: "callback", call, name, args, asked });
        }),
    };
  };

  const work = async (call: number, state: Call, method: string, args: unknown): Promise<void> => {
    const events = (methods[method] as Methods[string])(args as never, contextOf(call, state));
    try {
      for (;;) {
        while (state.wanted === 0 && !state.returned) {
          await new Promise<void>((resolve) => {
            state.wake = resolve;
          });
        }
        if (state.returned) {
          await events.return();
          break;
        }
        const next = await events.next();
        if (next.done === true) break;
        state.wanted--;
        port.post({ type: "event", call, value: next.value });
      }
      port.post({ type: "end", call });
    } catch (error) {
      port.post({ type: "error", call, error: messageOfError(error), callback: state.thrown.get(error) ?? null });
    } finally {
      calls.delete(call);
    }
  };

  port.onMessage((message) => {
    if (message.type === "call") {
      const controller = new AbortController();
      if (message.aborted) controller.abort();
      const state: Call = {
        ...{ controller, answers: new Map(), thrown: new Map() },
        ...{ wanted: 1, returned: false, wake: () => {} },
      };
      calls.set(message.call, state);
      void work(message.call, state, message.method, message.args);
      return;
    }
    const state = calls.get(message.call);
    // The call has ended during the wait.
    if (state === undefined) return;
    switch (message.type) {
      case "more":
        state.wanted += message.events;
        break;
      case "abort":
        state.controller.abort();
        return;
      case "return":
        state.returned = true;
        break;
      case "answer": {
        const answer = state.answers.get(message.asked);
        state.answers.delete(message.asked);
        if (message.error === null) {
          answer?.resolve();
          return;
        }
        const error = errorOfMessage(message.error);
        state.thrown.set(error, message.asked);
        answer?.reject(error);
        return;
      }
    }
    state.wake();
  });
};
