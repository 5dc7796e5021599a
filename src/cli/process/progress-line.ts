import { oneLine } from "../../core/text/one-line.ts";
import { cutText } from "../display/texts/width.ts";
import { host } from "./host.ts";
import { writeNotice } from "./output.ts";
import { canRedraw, terminalColumns } from "./terminal.ts";

/** A progress line. A terminal rewrites it in place; a pipe or a file gets a new line now and then. */
export interface ProgressLine {
  /** Replaces the text. A terminal gets it at most a few times a second, a pipe every few seconds. */
  update(text: string): void;
  /** Removes the line. */
  clear(): void;
}

/** Minimum milliseconds between two texts on a terminal. */
const redrawEvery = 100;
/** Minimum milliseconds between two lines in a pipe. Commands that take less time write no line. */
const lineEvery = 10_000;

/** Creates a progress line on standard error. */
export const progressLine = (hidden = false): ProgressLine => {
  const { stderr } = host;
  const redraws = canRedraw(stderr);
  const updateEvery = redraws ? redrawEvery : lineEvery;
  let shownAt = performance.now();
  let isDrawn = false;
  return {
    update(text) {
      if (hidden || performance.now() - shownAt < updateEvery) return;
      shownAt = performance.now();
      if (!redraws) {
        writeNotice(text);
        return;
      }
      isDrawn = true;
      // Cut to one row, because `clear` erases only one row.
      stderr.write(`\r\u001b[K${cutText(oneLine(text), terminalColumns(stderr) - 1)}`);
    },
    clear() {
      if (isDrawn) stderr.write("\r\u001b[K");
      isDrawn = false;
    },
  };
};
