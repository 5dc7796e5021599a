import type { EventEmitter } from "node:events";
import type { Interface } from "node:readline";

/** An output whose size may change: a terminal. */
export type Resizable = Pick<EventEmitter, "listeners" | "on" | "off">;

/**
 * Opens a line editor that is drawn again when the terminal's size has changed, only while it asks for a line. Node's own
 * way draws its prompt over a text that is being written, and counts the rows of the typed line as they were before: it
 * leaves a copy of the line behind, or erases rows above it.
 * @param open opens the editor on `output`.
 * @param isAsking whether the editor waits for a line.
 * @param reflows whether the terminal wraps the cursor's line anew.
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
    // The cursor is still in the same place of the line, which has other rows now.
    if (reflows) Object.assign(readline, { prevRows: readline.getCursorPos().rows });
    readline.prompt(true);
  };
  output.on("resize", redraw);
  readline.once("close", () => output.off("resize", redraw));
  return readline;
};
