import type { ReadStream } from "node:tty";
import { host } from "../process/host.ts";

/** Action of a key. */
export type Wish = "continue" | "end";

/**
 * The keyboard during a lesson. The keys to quit and interrupt work at any time. The key to continue works only while
 * the lesson waits for a key.
 */
export interface Keys {
  /** Waits for a key that has an action. Returns "end" at the end of input. */
  next(): Promise<Wish>;
  /** Releases the keyboard. */
  close(): void;
}

/** Callbacks for keys. While keys are read one by one, Ctrl-C does not arrive as a signal. */
export interface KeyHandlers {
  readonly onInterrupt: () => void;
  readonly onSuspend: () => void;
  readonly onEnd: () => void;
}

const meanings: Readonly<Record<string, Wish | "interrupt" | "suspend">> = {
  "\r": "continue",
  "\n": "continue",
  " ": "continue",
  q: "end",
  Q: "end",
  "\u0004": "end",
  "\u001b": "end",
  "\u0003": "interrupt",
  "\u001a": "suspend",
};

/** Reads keys one by one from a terminal. */
export const readKeys = (
  input: Pick<ReadStream, "setRawMode" | "on" | "off" | "resume" | "pause">,
  handlers: KeyHandlers,
): Keys => {
  let waiting: ((wish: Wish) => void) | undefined;
  let ended = false;

  const settle = (wish: Wish): void => {
    const resolve = waiting;
    waiting = undefined;
    resolve?.(wish);
  };
  const end = (): void => {
    if (ended) return;
    ended = true;
    handlers.onEnd();
    settle("end");
  };
  const take = (data: Buffer | string): void => {
    // A key of several bytes, such as an arrow, has no action. If several keys arrive at once (a paste), they are
    // handled one by one.
    const text = String(data);
    for (const key of text.length > 1 && text.startsWith("\u001b") ? [] : text) {
      switch (meanings[key]) {
        case "continue":
          settle("continue");
          break;
        case "end":
          end();
          break;
        case "interrupt":
          handlers.onInterrupt();
          settle("end");
          break;
        case "suspend":
          input.setRawMode(false);
          handlers.onSuspend();
          break;
      }
    }
  };
  const resumed = (): void => {
    input.setRawMode(true);
  };

  input.setRawMode(true);
  input.on("data", take).on("end", end);
  input.resume();
  host.on("SIGCONT", resumed);
  return {
    next: () =>
      new Promise((resolve) => {
        if (ended) resolve("end");
        else waiting = resolve;
      }),
    close() {
      host.off("SIGCONT", resumed);
      input.off("data", take).off("end", end);
      input.setRawMode(false);
      input.pause();
      settle("end");
    },
  };
};
