import { host } from "./host.ts";

/** Ctrl-C, SIGTERM and a closed terminal as an AbortSignal. */
export interface Interrupt {
  readonly signal: AbortSignal;
  /** Aborts without a signal. */
  readonly abort: () => void;
  /** The exit status for the signal; undefined if there was none. */
  status(): number | undefined;
  /** Stops listening to the signals. */
  release(): void;
}

/** As shells count: 128 and the signal's number. */
const statusOf = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;
export type EndingSignal = keyof typeof statusOf;

/**
 * Milliseconds after the first signal in which another is no second wish: `timeout` sends a signal to the program and to its
 * group, and who ends a program may send it two different ones. Faster than anyone presses Ctrl-C again.
 */
const sameWish = 300;

/**
 * The first SIGINT, SIGTERM or SIGHUP aborts and calls `onFirst` with its exit status and its name. A second one ends the process at
 * once, except one that comes with the first, and SIGHUP: a terminal that is closed sends it more than once.
 */
export const onInterrupt = (onFirst: (status: number, signal: EndingSignal) => void): Interrupt => {
  const controller = new AbortController();
  let status: number | undefined;
  let came = 0;
  const handle = (signal: EndingSignal): void => {
    if (status !== undefined) {
      if (signal === "SIGHUP" || performance.now() - came < sameWish) return;
      host.exit(statusOf[signal]);
    }
    status = statusOf[signal];
    came = performance.now();
    controller.abort();
    onFirst(status, signal);
  };
  const signals = Object.keys(statusOf) as readonly EndingSignal[];
  for (const signal of signals) host.on(signal, handle);
  return {
    signal: controller.signal,
    abort: () => controller.abort(),
    status: () => status,
    release: () => {
      for (const signal of signals) host.off(signal, handle);
    },
  };
};
