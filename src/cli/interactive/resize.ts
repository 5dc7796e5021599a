import type { EventEmitter } from "node:events";
import type { Interface } from "node:readline";

/** A terminal that may change its size at any time. */
export type Resizable = Pick<EventEmitter, "listeners" | "on" | "off">;

/**
 * Opens a line editor. If the terminal's size changes while the editor waits for a line, the editor is redrawn. Node's
 * own redraw draws the prompt over text that is being written. Node also counts the rows of the typed line for the old
 * width. So it leaves a copy of the line behind or erases rows above the line.
 * @param open opens the editor on `output`.
 * @param isAsking whether the editor is waiting for a line.
 * @param reflows whether the terminal rewraps the cursor's line.
 */
export const openResizable = (
  output: Resizable,
  open: () => Interface,
  isAsking: () => boolean,
  reflows: boolean,
): Interface => {
  const before = new Set(output.listeners("resize"));
  const readline = open();
  for (const listener of output.listeners("resize")) {
    if (!before.has(listener)) output.off("resize", listener as () => void);
  }
  const redraw = (): void => {
    if (!isAsking()) return;
    // The cursor is still at the same character, but the line now has a different number of rows.
    if (reflows) Object.assign(readline, { prevRows: readline.getCursorPos().rows });
    readline.prompt(true);
  };
  output.on("resize", redraw);
  readline.once("close", () => output.off("resize", redraw));
  return readline;
};
