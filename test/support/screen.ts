/**
 * A terminal's screen. The screen supports the functions that the program uses: line wrapping, cursor movement,
 * erasing, wide characters, and resizing. Like most terminals, the screen wraps its lines again when the width changes,
 * and the cursor stays at its character. When the height grows, some terminals show rows again that had scrolled off
 * the screen. Other terminals show empty rows.
 */

/** Characters and their columns. The second column of a wide character has an empty text. */
interface Line {
  cells: string[];
}

/** A row of the screen. The row contains the columns of a line, beginning with `from`. */
interface Row {
  readonly line: number;
  readonly from: number;
  readonly cells: readonly string[];
}

const joins = /^[\p{Mn}\p{Me}\p{Cf}]$/u;
/** Wide characters that the tests use. */
const wide = /^[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uff01-\uff60]|^\p{Emoji_Presentation}/u;

export interface ScreenModel {
  columns: number;
  rows: number;
  write(text: string): void;
  resize(columns: number, rows: number): void;
  /** The visible rows, without empty rows at the end. */
  visible(): readonly string[];
  /** All rows, including rows that have scrolled off the screen. */
  all(): readonly string[];
}

/** @param pulls whether rows that had scrolled off come back when the screen becomes taller. */
export const screenModel = (columns: number, rows: number, pulls = true): ScreenModel => {
  const lines: Line[] = [{ cells: [] }];
  let at = { line: 0, column: 0 };
  /** Position at which the first visible row begins. */
  let first = { line: 0, column: 0 };
  const size = { columns, rows };

  const rowsOfLine = ({ cells }: Line, line: number): Row[] => {
    const found: Row[] = [];
    let from = 0;
    for (;;) {
      let end = Math.min(cells.length, from + size.columns);
      // A wide character that does not fit into its row moves to the next row.
      if (end < cells.length && cells[end] === "") end--;
      found.push({ line, from, cells: cells.slice(from, end) });
      if (end >= cells.length) return found;
      from = end;
    }
  };
  const allRows = (): Row[] => lines.flatMap(rowsOfLine);

  /** Index of the cursor's row among all rows. */
  const cursorRow = (all: readonly Row[]): number =>
    all.findLastIndex(({ line, from }) => line === at.line && (from === 0 || from <= at.column));

  /** Index of the first visible row. */
  const topRow = (all: readonly Row[]): number =>
    Math.max(
      0,
      all.findLastIndex(({ line, from }) => line < first.line || (line === first.line && from <= first.column)),
    );

  const scrollTo = (all: readonly Row[], index: number): void => {
    const row = all[Math.max(0, index)];
    if (row !== undefined) first = { line: row.line, column: row.from };
  };

  /** Scrolls until the cursor is visible. */
  const follow = (): void => {
    const all = allRows();
    scrollTo(all, Math.max(topRow(all), cursorRow(all) - size.rows + 1));
  };

  const place = (row: Row | undefined, column: number): void => {
    if (row !== undefined) at = { line: row.line, column: row.from + column };
  };

  const moveRows = (by: number): void => {
    const all = allRows();
    const here = cursorRow(all);
    const row = all[here];
    const to = Math.min(all.length - 1, Math.max(topRow(all), here + by));
    place(all[to], at.column - (row?.from ?? 0));
  };

  const eraseLine = (): void => {
    const all = allRows();
    const row = all[cursorRow(all)];
    const line = lines[at.line];
    if (row === undefined || line === undefined) return;
    const rest = line.cells.slice(row.from + row.cells.length);
    line.cells = line.cells.slice(0, at.column);
    // From here on, the rows below are a separate line.
    if (rest.length > 0) lines.splice(at.line + 1, 0, { cells: rest });
  };

  const put = (character: string): void => {
    const { cells } = lines[at.line] as Line;
    if (joins.test(character)) {
      const last = cells.findLastIndex((cell, i) => i < at.column && cell !== "");
      if (last >= 0) cells[last] += character;
      return;
    }
    while (cells.length < at.column) cells.push(" ");
    cells[at.column++] = character;
    if (wide.test(character)) cells[at.column++] = "";
  };

  const obey = (count: string, command: string): void => {
    const number = Number(count === "" ? 1 : count);
    const all = allRows();
    const row = all[cursorRow(all)];
    if (command === "A") moveRows(-number);
    else if (command === "B") moveRows(number);
    else if (command === "C") at.column += number;
    else if (command === "D") at.column = Math.max(row?.from ?? 0, at.column - number);
    else if (command === "G") place(row, number - 1);
    else if (command === "K") eraseLine();
    else if (command === "J") {
      eraseLine();
      lines.splice(at.line + 1);
    }
  };

  const shown = (list: readonly Row[]): string[] => list.map(({ cells }) => cells.join("").trimEnd());

  return {
    get columns() {
      return size.columns;
    },
    get rows() {
      return size.rows;
    },
    write(text) {
      for (const [whole, count, command] of text.matchAll(/\u001b\[([0-9?;]*)([A-Za-z])|[\s\S]/gu)) {
        if (command !== undefined) obey(count ?? "", command);
        else if (whole === "\r") {
          const all = allRows();
          place(all[cursorRow(all)], 0);
        } else if (whole === "\n") {
          const all = allRows();
          const here = cursorRow(all);
          const column = at.column - (all[here]?.from ?? 0);
          if (here === all.length - 1) lines.push({ cells: [] });
          place(allRows()[here + 1], column);
        } else if (whole !== "\u0007") put(whole);
        follow();
      }
    },
    resize(toColumns, toRows) {
      const grown = toRows - size.rows;
      [size.columns, size.rows] = [toColumns, toRows];
      const all = allRows();
      if (pulls && grown > 0) scrollTo(all, topRow(all) - grown);
      follow();
    },
    all: () => shown(allRows()),
    visible() {
      const all = allRows();
      const seen = shown(all.slice(topRow(all))).slice(0, size.rows);
      return seen.slice(0, seen.findLastIndex((row) => row !== "") + 1);
    },
  };
};
