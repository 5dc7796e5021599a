/** Text that may be shown, and whether a stop string was found. */
export interface WatchedText {
  readonly text: string;
  readonly stopped: boolean;
}

/**
 * Watches streamed text for stop strings. Text that may be the beginning of a stop string is held back until it is
 * clear whether it is one. So a stop string is never shown.
 */
export interface StopWatch {
  /** Adds text. */
  push(text: string): WatchedText;
  /** Returns the text that is still held back, at the end of the text. */
  end(): string;
}

/** @param stop stop strings. If there are none, all text passes through unchanged. */
export const stopWatch = (stop: readonly string[]): StopWatch => {
  if (stop.length === 0) return { push: (text) => ({ text, stopped: false }), end: () => "" };
  let held = "";
  return {
    push(text) {
      held += text;
      // Takes the stop string that ends first. If several stop strings end at the same place, it takes the longest of
      // them. So the result does not depend on how the text is cut into pieces.
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
