/** Text that may be shown, and whether it ends at a stop string. */
export interface WatchedText {
  readonly text: string;
  readonly stopped: boolean;
}

/**
 * Finds stop strings in streamed text. Text that may be the beginning of a stop string is held back until this is
 * certain. So a stop string is never shown.
 */
export interface StopWatch {
  /** Adds text. */
  push(text: string): WatchedText;
  /** Call it at the end of the text. Returns the text that is still held back. */
  end(): string;
}

/** @param stop stop strings. Without stop strings, the text stays unchanged. */
export const stopWatch = (stop: readonly string[]): StopWatch => {
  if (stop.length === 0) return { push: (text) => ({ text, stopped: false }), end: () => "" };
  let held = "";
  return {
    push(text) {
      held += text;
      // Chooses the stop string that ends first. If several stop strings end at the same position, it chooses the
      // longest. So the result does not depend on how the text is cut into pieces.
      const [found] = stop
        .map((string) => ({ start: held.indexOf(string), length: string.length }))
        .filter(({ start }) => start >= 0)
        .sort((a, b) => a.start + a.length - (b.start + b.length) || a.start - b.start);
      if (found !== undefined) {
        const shown = held.slice(0, found.start);
        held = "";
        return { text: shown, stopped: true };
      }
      let hold = 0;
      for (const string of stop) {
        for (let size = Math.min(string.length - 1, held.length); size > hold; size--) {
          if (held.endsWith(string.slice(0, size))) hold = size;
        }
      }
      const shown = held.slice(0, held.length - hold);
      held = held.slice(held.length - hold);
      return { text: shown, stopped: false };
    },
    end() {
      const rest = held;
      held = "";
      return rest;
    },
  };
};
