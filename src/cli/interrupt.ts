import { exitStatus } from "./failure.ts";

/** Ctrl-C and SIGTERM as an AbortSignal. */
export interface Interrupt {
  readonly signal: AbortSignal;
  /** Aborts without a signal. */
  readonly abort: () => void;
  /** Whether a signal came. */
  signaled(): boolean;
  /** Gives the signals back. */
  release(): void;
}

/**
 * The first SIGINT or SIGTERM aborts and calls `onFirst`; a second one ends the process at once.
 */
export const onInterrupt = (onFirst: () => void): Interrupt => {
  const controller = new AbortController();
  let signaled = false;
  const handle = (): void => {
    if (signaled) process.exit(exitStatus.interrupted);
    signaled = true;
    controller.abort();
    onFirst();
  };
  process.on("SIGINT", handle).on("SIGTERM", handle);
  return {
    signal: controller.signal,
    abort: () => controller.abort(),
    signaled: () => signaled,
    release: () => process.off("SIGINT", handle).off("SIGTERM", handle),
  };
};
