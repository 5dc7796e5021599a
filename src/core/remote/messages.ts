/** What two threads tell each other, of calls that one makes and the other works on. */
import type { ErrorMessage } from "./error-message.ts";

/** From the thread that calls. `call` numbers the calls of a thread. */
export type CallerMessage =
  | {
      readonly type: "call";
      readonly call: number;
      readonly method: string;
      readonly args: unknown;
      /** Whether its signal is aborted already. */
      readonly aborted: boolean;
    }
  /** So many more events are wanted. */
  | { readonly type: "more"; readonly call: number; readonly events: number }
  /** The call's signal was aborted. */
  | { readonly type: "abort"; readonly call: number }
  /** Nobody wants the rest. */
  | { readonly type: "return"; readonly call: number }
  /** The callback `asked` has returned, or thrown. */
  | { readonly type: "answer"; readonly call: number; readonly asked: number; readonly error: ErrorMessage | null };

/** From the thread that works. */
export type WorkerMessage =
  | { readonly type: "event"; readonly call: number; readonly value: unknown }
  | { readonly type: "end"; readonly call: number }
  | {
      readonly type: "error";
      readonly call: number;
      readonly error: ErrorMessage;
      /** The callback that threw it, by its number. */
      readonly callback: number | null;
    }
  /** A callback of the caller's is to be called; `asked`: an answer is waited for. */
  | {
      readonly type: "callback";
      readonly call: number;
      readonly name: string;
      readonly args: readonly unknown[];
      readonly asked: number | null;
    };

/** Events that the worker may be ahead of those that were taken: so neither thread waits for the other at each of them. */
export const eventsAhead = 1;
