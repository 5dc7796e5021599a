/** The tokens that the lens shows at a time. */

const most = 16;
const least = 2;

/** The page with token `at` of `time`: the last page ends with the text, so that it is full. */
export const lensPage = (at: number, time: number, size = most): { readonly from: number; readonly to: number } => {
  const to = time - Math.floor((time - 1 - at) / size) * size;
  return { from: Math.max(0, to - size), to };
};

/** Widths in rem, as in inside-cells.css, with the space between cells. */
const columnWidth = { short: 2.47, usual: 5.27 } as const;
const namesWidth = { layers: 5, parts: 7.9 } as const;

/** How many columns stand beside the names of rows without scrolling. @param width in rem. */
export const columnsThatFit = (width: number, rows: keyof typeof namesWidth, isShort: boolean): number => {
  const room = width - namesWidth[rows];
  return Math.max(least, Math.min(most, Math.floor(room / columnWidth[isShort ? "short" : "usual"])));
};
