import { columns } from "../texts/format.ts";

/** Where a region is drawn: a terminal. */
export interface Screen {
  /** Columns of the real terminal: a longer line takes a second row. */
  readonly columns: number;
  write(text: string): void;
}

/** Lines at the bottom of a terminal that are redrawn in place, with lasting lines above them. */
export interface LiveRegion {
  /** Replaces the region. Lines must not be wider than the screen. */
  draw(lines: readonly string[]): void;
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

  /** Moves to the region's first line. Lines wider than the screen is now have been wrapped. */
  const goBack = (): string => {
    const rows = shown.reduce((sum, line) => sum + Math.max(1, Math.ceil(columns(line) / screen.columns)), 0);
    return `\r${up(rows)}`;
  };

  // One write that erases nothing before it is replaced: no flicker.
  const rewrite = (lasting: readonly string[], lines: readonly string[]): void => {
    const text = [...lasting, ...lines].map((line) => `${line}${eraseToLineEnd}\n`).join("");
    screen.write(`${goBack()}${text}${eraseBelow}`);
    shown = lines;
  };

  return {
    draw: (lines) => rewrite([], lines),
    print: (lines) => rewrite(lines, shown),
    settle: () => {
      shown = [];
    },
  };
};
