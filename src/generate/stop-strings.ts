/** What may be shown now, and whether a stop string was reached. */
export interface WatchedText {
  readonly text: string;
  readonly stopped: boolean;
}

/**
 * Watches a stream of text for stop strings. Text that might be the beginning of one is held back until it is known
 * not to be, so that a stop string never shows.
 */
export interface StopWatch {
  /** Adds text. */
  push(text: string): WatchedText;
  /** What was held back when nothing follows. */
  end(): string;
}

/** `stop` may be empty: then text passes straight through. */
export const stopWatch = (stop: readonly string[]): StopWatch => {
  if (stop.length === 0) return { push: (text) => ({ text, stopped: false }), end: () => "" };
  let held = "";
  return {
    push(text) {
      held += text;
      // The one that is complete first, of those the longest: so the text does not depend on where it was cut.
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
