/**
 * Allows one computation at a time. Texts are written and scored one after another, and this studio's run pauses during
 * that time. So each computation has all cores. The run pauses because its next event is not requested.
 */

/** The turn of one computation. */
export interface Turn {
  /** Ends the turn. A second call does nothing. */
  release(): void;
}

export interface Turns {
  /** Waits until all earlier turns have ended. @throws the reason of the signal if it is aborted first. */
  take(signal: AbortSignal): Promise<Turn>;
  /** Whether a computation has a turn or waits for a turn. */
  isTaken(): boolean;
  /** Resolves when no computation has a turn or waits for a turn. */
  idle(): Promise<void>;
}

/** @param onChange is called when the first turn is taken, and when the last turn has ended. */
export const createTurns = (onChange: () => void): Turns => {
  let last: Promise<void> = Promise.resolve();
  let open = 0;
  const waiting = new Set<() => void>();

  const leave = (): void => {
    open--;
    if (open > 0) return;
    onChange();
    for (const wake of waiting) wake();
    waiting.clear();
  };

  return {
    async take(signal) {
      signal.throwIfAborted();
      open++;
      if (open === 1) onChange();
      const before = last;
      let release = (): void => {};
      const ended = new Promise<void>((resolve) => {
        release = resolve;
      });
      last = before.then(() => ended);
      let isOver = false;
      const turn: Turn = {
        release() {
          if (isOver) return;
          isOver = true;
          release();
          leave();
        },
      };
      let stop = (): void => {};
      try {
        await Promise.race([
          before,
          new Promise<never>((_, reject) => {
            stop = () => reject(signal.reason);
            signal.addEventListener("abort", stop);
          }),
        ]);
        return turn;
      } catch (error) {
        turn.release();
        throw error;
      } finally {
        signal.removeEventListener("abort", stop);
      }
    },
    isTaken: () => open > 0,
    idle: () =>
      open === 0
        ? Promise.resolve()
        : new Promise((resolve) => {
            waiting.add(resolve);
          }),
  };
};
