/** Scrolls a row of choices sideways, and not the page, so that the chosen one is in view. */
export const keepInView = (row: HTMLElement | null, selector: string): void => {
  const chosen = row?.querySelector(selector);
  if (row === null || chosen == null) return;
  const [outer, inner] = [row.getBoundingClientRect(), chosen.getBoundingClientRect()];
  if (inner.left >= outer.left && inner.right <= outer.right) return;
  row.scrollLeft += (inner.left + inner.right - outer.left - outer.right) / 2;
};
