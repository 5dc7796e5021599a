/** Messages between two threads. One thread calls methods, and the other thread runs them. */
import type { ErrorMessage } from "./error-message.ts";

/** A message from the calling thread. `call` identifies the call. */
export type CallerMessage =
  | {
      readonly type: "call";
      readonly call: number;
      readonly method: string;
      readonly args: unknown;
      /** Whether the call's signal is already aborted. */
      readonly aborted: boolean;
    }
  /** The worker may send this many more events. */
  | { readonly type: "more"; readonly call: number; readonly events: number }
  /** The call's signal was aborted. */
  | { readonly type: "abort"; readonly call: number }
  /** The caller has left the loop, so the call must end. */
  | { readonly type: "return"; readonly call: number }
  /** Callback number `asked` has returned, or thrown `error`. */
  | { readonly type: "answer"; readonly call: number; readonly asked: number; readonly error: ErrorMessage | null };

/** A message from the working thread. */
export type WorkerMessage =
  | { readonly type: "event"; readonly call: number; readonly value: unknown }
  | { readonly type: "end"; readonly call: number }
  | {
      readonly type: "error";
      readonly call: number;
      readonly error: ErrorMessage;
      /** Number of the callback that threw the error; null if the method threw it. */
      readonly callback: number | null;
    }
  /** Calls the callback `name` of the caller. The answer to this message has the number `asked`. */
  | {
      readonly type: "callback";
      readonly call: number;
      readonly name: string;
      readonly args: readonly unknown[];
      readonly asked: number;
    };

/** Buffers of files for a callback. The buffers are transferred, not copied. */
export const filesIn = (message: WorkerMessage): ArrayBuffer[] => {
  if (message.type !== "callback") return [];
  const values = message.args.flatMap((arg) => (typeof arg === "object" && arg !== null ? Object.values(arg) : []));
  const buffers = values.flatMap((value) => (value instanceof Uint8Array ? [value.buffer] : []));
  return [...new Set(buffers)].filter((buffer) => buffer instanceof ArrayBuffer);
};

/**
 * Number of events that the worker may send in advance. With this number, neither thread has to wait for the other
 * thread at each event.
 */
export const eventsAhead = 1;
