import { cutText } from "../display/texts/width.ts";
import { host } from "./host.ts";
import { canRedraw, terminalColumns } from "./terminal.ts";

/** A progress line that is rewritten in place. */
export interface ProgressLine {
  /** Replaces the text. The line is redrawn at most a few times a second. */
  update(text: string): void;
  /** Removes the line. */
  clear(): void;
}

/** Minimum milliseconds between two texts. */
const updateEvery = 100;

/** Creates a progress line on standard error if it is a terminal. Otherwise, nothing is shown. */
export const progressLine = (hidden = false): ProgressLine => {
  const { stderr } = host;
  const isShown = !hidden && canRedraw(stderr);
  let shownAt = performance.now();
  let isDrawn = false;
  return {
    update(text) {
      if (!isShown || performance.now() - shownAt < updateEvery) return;
      shownAt = performance.now();
      isDrawn = true;
      // Cut to one row, because `clear` erases only one row.
      stderr.write(`\r\u001b[K${cutText(text, terminalColumns(stderr) - 1)}`);
    },
    clear() {
      if (isDrawn) stderr.write("\r\u001b[K");
      isDrawn = false;
    },
  };
};
