import { host } from "./host.ts";
import { writeNotice } from "./output.ts";

/** Turns Ctrl-C, SIGTERM and a closed terminal into an AbortSignal. */
export interface Interrupt {
  readonly signal: AbortSignal;
  /** Aborts without a signal. */
  readonly abort: () => void;
  /** Exit status for the received signal. Undefined if no signal was received. */
  status(): number | undefined;
  /** Stops listening to the signals. */
  release(): void;
}

/** As in shells: 128 plus the signal's number. */
const statusOf = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;
export type EndingSignal = keyof typeof statusOf;

/**
 * Time in milliseconds after the first signal in which another signal is ignored. `timeout` sends a signal to the
 * program and to its process group, and a caller may send two different signals. Nobody presses Ctrl-C twice in such a
 * short time.
 */
const sameWish = 300;

/**
 * The first SIGINT, SIGTERM or SIGHUP aborts and calls `onFirst` with the exit status and the signal's name. A second
 * signal ends the process at once. Exceptions: the signal comes within `sameWish` ms, or is SIGHUP, which a closing
 * terminal sends several times.
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

/**
 * Ends a command whose work was aborted: sets the exit status, and says that a signal stopped the command. If only the
 * reader of standard output went away, nothing is said.
 * @param left what the command leaves behind, for example "nothing was written".
 */
export const endStopped = (interrupt: Interrupt, left: string): void => {
  host.exitCode = interrupt.status();
  if (interrupt.status() !== undefined) writeNotice(`stopped: ${left}`);
};
