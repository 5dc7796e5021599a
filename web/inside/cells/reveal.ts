/** Number of pixels of one rem. */
export const rem = (): number => Number.parseFloat(getComputedStyle(document.documentElement).fontSize);

/** Scrolls a box, but not the page, until an element in it is in view. The fixed row names do not cover the element. */
export const reveal = (box: HTMLElement | null, selector: string): void => {
  const found = box?.querySelector(selector);
  if (box === null || found == null) return;
  const [outer, inner] = [box.getBoundingClientRect(), found.getBoundingClientRect()];
  const left = outer.left + (box.querySelector<HTMLElement>("tbody th")?.offsetWidth ?? 0);
  if (inner.left < left || inner.right > outer.right)
    box.scrollLeft += inner.left + inner.width / 2 - (left + outer.right) / 2;
  if (inner.top < outer.top || inner.bottom > outer.bottom)
    box.scrollTop += inner.top + inner.height / 2 - outer.top - outer.height / 2;
};

/**
 * Calls `reveal` immediately, and whenever the size of the box or of its content changes. Returns a function that stops
 * these calls.
 */
export const keepRevealed = (box: HTMLElement | null, selector: string): (() => void) | undefined => {
  if (box === null) return undefined;
  const observer = new ResizeObserver(() => reveal(box, selector));
  for (const one of [box, ...box.children]) observer.observe(one);
  return () => observer.disconnect();
};
