/** Pixels of one rem. */
export const rem = (): number => Number.parseFloat(getComputedStyle(document.documentElement).fontSize);

/** Scrolls a box, and not the page, so that something in it is in view, beside the names of rows, which stay. */
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

/** Reveals something now, and again whenever the box or what is in it takes another size; returns how to end that. */
export const keepRevealed = (box: HTMLElement | null, selector: string): (() => void) | undefined => {
  if (box === null) return undefined;
  const observer = new ResizeObserver(() => reveal(box, selector));
  for (const one of [box, ...box.children]) observer.observe(one);
  return () => observer.disconnect();
};
