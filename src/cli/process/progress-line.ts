import { cutText } from "../display/texts/width.ts";
import { host } from "./host.ts";
import { canRedraw, terminalColumns } from "./terminal.ts";

/** A line that is rewritten in place. */
export interface ProgressLine {
  /** Shows a text in place of the one before, some times a second. */
  update(text: string): void;
  /** Removes the line. */
  clear(): void;
}

/** Milliseconds between two texts. */
const updateEvery = 100;

/** A line on standard error with the progress, where that is a terminal; nothing elsewhere. */
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
      // In one row, which is what `clear` takes away.
      stderr.write(`\r\u001b[K${cutText(text, terminalColumns(stderr) - 1)}`);
    },
    clear() {
      if (isDrawn) stderr.write("\r\u001b[K");
      isDrawn = false;
    },
  };
};
