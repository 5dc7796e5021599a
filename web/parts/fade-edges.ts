/**
 * Marks the edges of a scrolling row beyond which there is more, for example `data-more="left right"`. The style
 * sheet fades these edges. @returns a function that ends this.
 */
export const fadeEdges = (row: HTMLElement | null): (() => void) => {
  if (row === null) return () => {};
  const look = () => {
    const { scrollLeft, clientWidth, scrollWidth } = row;
    const more = [scrollLeft > 2 ? "left" : "", scrollLeft + clientWidth < scrollWidth - 2 ? "right" : ""];
    row.dataset.more = more.join(" ").trim();
  };
  const sizes = new ResizeObserver(look);
  sizes.observe(row);
  row.addEventListener("scroll", look, { passive: true });
  return () => {
    sizes.disconnect();
    row.removeEventListener("scroll", look);
  };
};
