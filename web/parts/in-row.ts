/** Scrolls a row of choices sideways until the chosen item is in view. Does not scroll the page. */
export const keepInView = (row: HTMLElement | null, selector: string): void => {
  const chosen = row?.querySelector(selector);
  if (row === null || chosen == null) return;
  const [outer, inner] = [row.getBoundingClientRect(), chosen.getBoundingClientRect()];
  if (inner.left >= outer.left && inner.right <= outer.right) return;
  row.scrollLeft += (inner.left + inner.right - outer.left - outer.right) / 2;
};
