/** Scrolls a box, and not the page, so that something in it is in view. */
export const reveal = (box: HTMLElement | null, selector: string): void => {
  const found = box?.querySelector(selector);
  if (box === null || found == null) return;
  const [outer, inner] = [box.getBoundingClientRect(), found.getBoundingClientRect()];
  if (inner.left < outer.left || inner.right > outer.right)
    box.scrollLeft += inner.left + inner.width / 2 - outer.left - outer.width / 2;
  if (inner.top < outer.top || inner.bottom > outer.bottom)
    box.scrollTop += inner.top + inner.height / 2 - outer.top - outer.height / 2;
};
