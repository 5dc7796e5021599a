/** Messages between two threads: one makes calls, the other works on them. */
import type { ErrorMessage } from "./error-message.ts";

/** From the calling thread. `call` is the number of the call. */
export type CallerMessage =
  | {
      readonly type: "call";
      readonly call: number;
      readonly method: string;
      readonly args: unknown;
      /** Whether its signal is already aborted. */
      readonly aborted: boolean;
    }
  /** So many more events may be sent. */
  | { readonly type: "more"; readonly call: number; readonly events: number }
  /** The call's signal was aborted. */
  | { readonly type: "abort"; readonly call: number }
  /** Nobody wants the rest. */
  | { readonly type: "return"; readonly call: number }
  /** The callback `asked` has returned, or thrown. */
  | { readonly type: "answer"; readonly call: number; readonly asked: number; readonly error: ErrorMessage | null };

/** From the working thread. */
export type WorkerMessage =
  | { readonly type: "event"; readonly call: number; readonly value: unknown }
  | { readonly type: "end"; readonly call: number }
  | {
      readonly type: "error";
      readonly call: number;
      readonly error: ErrorMessage;
      /** Number of the callback that threw it. */
      readonly callback: number | null;
    }
  /** Call the caller's callback, and answer with the number `asked`. */
  | {
      readonly type: "callback";
      readonly call: number;
      readonly name: string;
      readonly args: readonly unknown[];
      readonly asked: number;
    };

/** The buffers of files for a callback: they are moved, not copied. */
export const filesIn = (message: WorkerMessage): ArrayBuffer[] => {
  if (message.type !== "callback") return [];
  const values = message.args.flatMap((arg) => (typeof arg === "object" && arg !== null ? Object.values(arg) : []));
  const buffers = values.flatMap((value) => (value instanceof Uint8Array ? [value.buffer] : []));
  return [...new Set(buffers)].filter((buffer) => buffer instanceof ArrayBuffer);
};

/** Events that the worker may be ahead of its reader: so neither thread waits for the other at each event. */
export const eventsAhead = 1;
