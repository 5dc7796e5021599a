import { rowTexts } from "../texts/width.ts";

/** The terminal on which a region is drawn. */
export interface Screen {
  /** Columns of the terminal. A longer line wraps to a second row. */
  readonly columns: number;
  readonly rows: number;
  /** Whether the terminal rewraps lines when it becomes narrower. If false, the terminal cuts the lines. */
  readonly reflows: boolean;
  write(text: string): void;
}

/** Lines at the bottom of a terminal that are redrawn in place. Permanent lines are above these lines. */
export interface LiveRegion {
  /**
   * Replaces the region. Lines must not be wider than the screen.
   * @param unchanged number of lines at the top that have not changed and are not written again.
   */
  draw(lines: readonly string[], unchanged?: number): void;
  /** Writes permanent lines above the region. */
  print(lines: readonly string[]): void;
  /** Keeps the current content permanently. The next `draw` starts a new region below this content. */
  settle(): void;
}

const eraseToLineEnd = "\u001b[K";
const eraseBelow = "\u001b[J";
const up = (rows: number): string => (rows === 0 ? "" : `\u001b[${rows}A`);

export const liveRegion = (screen: Screen): LiveRegion => {
  let shown: readonly string[] = [];
  /**
   * Rows that scrolled off the top when the screen became too small. These rows are directly above the visible rows.
   */
  let gone: readonly string[] = [];
  let rowsBefore = screen.rows;

  /** Terminal rows of the lines from `index` on, including rows that wrapped when the screen became narrower. */
  const rowsFrom = (index: number): readonly string[] => {
    const lines = shown.slice(index);
    return screen.reflows ? lines.flatMap((line) => rowTexts(line, screen.columns)) : lines;
  };

  /**
   * Escape code that moves the cursor to line `index`. If the screen has become taller, rows that had scrolled off are
   * visible again. For line 0 the cursor also moves over these rows.
   */
  const goBack = (index: number): string => {
    const rows = rowsFrom(index);
    const grown = Math.max(0, screen.rows - rowsBefore);
    rowsBefore = screen.rows;
    if (index > 0) return `\r${up(rows.length)}`;
    const kept = gone.slice(0, Math.max(0, gone.length - grown));
    const back = gone.length - kept.length;
    // The row below the region is reserved for the cursor.
    gone = [...kept, ...rows.slice(0, Math.max(0, rows.length - (screen.rows - 1)))];
    return `\r${up(rows.length + back)}`;
  };

  // To avoid flicker, a single write erases only the parts that it replaces.
  const rewrite = (lasting: readonly string[], lines: readonly string[], unchanged = 0): void => {
    const text = [...lasting, ...lines.slice(unchanged)].map((line) => `${line}${eraseToLineEnd}\n`).join("");
    screen.write(`${goBack(unchanged)}${text}${eraseBelow}`);
    shown = lines;
    if (lasting.length > 0) gone = [];
  };

  return {
    draw: (lines, unchanged) => rewrite([], lines, unchanged),
    print: (lines) => rewrite(lines, shown),
    settle: () => {
      shown = [];
      gone = [];
    },
  };
};
