/** Ctrl-C and SIGTERM as an AbortSignal. */
export interface Interrupt {
  readonly signal: AbortSignal;
  /** Aborts without a signal. */
  readonly abort: () => void;
  /** The exit status that says which signal came; undefined where none did. */
  status(): number | undefined;
  /** Gives the signals back. */
  release(): void;
}

/** As shells count: 128 and the signal's number. */
const statusOf = { SIGINT: 130, SIGTERM: 143 } as const;

/**
 * The first SIGINT or SIGTERM aborts and calls `onFirst` with the exit status that it stands for; a second one ends the
 * process at once.
 */
export const onInterrupt = (onFirst: (status: number) => void): Interrupt => {
  const controller = new AbortController();
  let status: number | undefined;
  const handle = (signal: keyof typeof statusOf): void => {
    if (status !== undefined) process.exit(statusOf[signal]);
    status = statusOf[signal];
    controller.abort();
    onFirst(status);
  };
  process.on("SIGINT", handle).on("SIGTERM", handle);
  return {
    signal: controller.signal,
    abort: () => controller.abort(),
    status: () => status,
    release: () => process.off("SIGINT", handle).off("SIGTERM", handle),
  };
};
