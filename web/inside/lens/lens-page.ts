/** Maximum number of tokens that the lens shows at a time. */

const most = 16;
const least = 2;

/** Page that contains token `at` of `time` tokens. The last page ends at the end of the text, so it is a full page. */
export const lensPage = (at: number, time: number, size = most): { readonly from: number; readonly to: number } => {
  const to = time - Math.floor((time - 1 - at) / size) * size;
  return { from: Math.max(0, to - size), to };
};

/** Widths in rem, including the space between cells. The widths must equal the widths in inside-cells.css. */
const columnWidth = { short: 2.47, usual: 5.27 } as const;
const namesWidth = { layers: 5, parts: 7.9 } as const;

/** Number of columns that fit next to the row names without scrolling. @param width in rem. */
export const columnsThatFit = (width: number, rows: keyof typeof namesWidth, isShort: boolean): number => {
  const room = width - namesWidth[rows];
  return Math.max(least, Math.min(most, Math.floor(room / columnWidth[isShort ? "short" : "usual"])));
};

/** Maximum width of a column in rem. Longer tokens are cut. */
const widest = 8;

/**
 * Maximum width of a column in rem, so that all columns fit. Without a limit, long tokens would push the first column
 * out of view. @param width in rem.
 */
export const widestColumn = (width: number, rows: keyof typeof namesWidth, columns: number): number =>
  Math.min(widest, Math.floor((100 * (width - namesWidth[rows])) / columns) / 100 - 0.07);
