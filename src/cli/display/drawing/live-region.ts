import { rowTexts } from "../texts/width.ts";

/** Where a region is drawn: a terminal. */
export interface Screen {
  /** Columns of the real terminal: a longer line takes a second row. */
  readonly columns: number;
  readonly rows: number;
  /** Whether lines that are wider than it has become are wrapped anew; else they are cut. */
  readonly reflows: boolean;
  write(text: string): void;
}

/** Lines at the bottom of a terminal that are redrawn in place, with lasting lines above them. */
export interface LiveRegion {
  /**
   * Replaces the region. Lines must not be wider than the screen.
   * @param unchanged how many of the first lines stay as they are: they are not written again.
   */
  draw(lines: readonly string[], unchanged?: number): void;
  /** Puts lasting lines above the region. */
  print(lines: readonly string[]): void;
  /** Makes the current content permanent. */
  settle(): void;
}

const eraseToLineEnd = "\u001b[K";
const eraseBelow = "\u001b[J";
const up = (rows: number): string => (rows === 0 ? "" : `\u001b[${rows}A`);

export const liveRegion = (screen: Screen): LiveRegion => {
  let shown: readonly string[] = [];
  /** Rows of the region that left the screen when it became too small: they stand directly above what is shown. */
  let gone: readonly string[] = [];
  let rowsBefore = screen.rows;

  /** Rows of the lines from `index` on, also where the screen has become narrower than they are. */
  const rowsFrom = (index: number): readonly string[] => {
    const lines = shown.slice(index);
    return screen.reflows ? lines.flatMap((line) => rowTexts(line, screen.columns)) : lines;
  };

  /** Moves to the line `index` of the region; to its first line, also over rows that a taller screen shows again. */
  const goBack = (index: number): string => {
    const rows = rowsFrom(index);
    const grown = Math.max(0, screen.rows - rowsBefore);
    rowsBefore = screen.rows;
    if (index > 0) return `\r${up(rows.length)}`;
    const kept = gone.slice(0, Math.max(0, gone.length - grown));
    const back = gone.length - kept.length;
    // The cursor's own row is below the region.
    gone = [...kept, ...rows.slice(0, Math.max(0, rows.length - (screen.rows - 1)))];
    return `\r${up(rows.length + back)}`;
  };

  // One write that erases nothing before it is replaced: no flicker.
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
