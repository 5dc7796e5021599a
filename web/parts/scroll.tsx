/**
 * Box for content that may be wider than the screen of a phone. The pointer and the keys scroll the box. If there is
 * more content beyond an edge, this edge fades.
 */
import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";

export interface ScrollProps {
  readonly label: string;
  readonly children: ComponentChildren;
  /** When this value changes, the element with the class "followed" is scrolled into view. */
  readonly follows?: string;
}

export const Scroll = ({ label, children, follows }: ScrollProps) => {
  const box = useRef<HTMLElement>(null);
  const goesOn = useSignal(false);
  const look = () => {
    const here = box.current;
    if (here !== null) goesOn.value = here.scrollLeft + here.clientWidth < here.scrollWidth - 2;
  };
  useEffect(() => {
    const here = box.current;
    if (here === null) return;
    const sizes = new ResizeObserver(look);
    sizes.observe(here);
    for (const child of here.children) sizes.observe(child);
    return () => sizes.disconnect();
  }, []);
  useEffect(() => {
    const here = box.current;
    const one = here?.querySelector(".followed");
    if (follows === undefined || here === null || one === null || one === undefined) return;
    // scrollIntoView is not used, because it would also scroll the page.
    const [outer, inner] = [here.getBoundingClientRect(), one.getBoundingClientRect()];
    if (inner.left < outer.left || inner.right > outer.right - inner.width)
      here.scrollLeft += inner.left - outer.left - (outer.width - inner.width) / 2;
  }, [follows]);
  return (
    <section
      ref={box}
      class={goesOn.value ? "scroll goes-on" : "scroll"}
      aria-label={label}
      // biome-ignore lint/a11y/noNoninteractiveTabindex: who has no pointer scrolls it by the arrow keys
      tabIndex={0}
      onScroll={look}
    >
      {children}
    </section>
  );
};
