/** Signs at the edges of a scrolling box that show where more content is. */
import type { ComponentChildren, RefObject } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";

const edges = ["left", "right", "above", "below"] as const;
const signs = { left: "←", right: "→", above: "↑", below: "↓" } as const;

/** A sign appears if at least this number of pixels is hidden. */
const least = 4;

const hiddenAt = (box: HTMLElement) => ({
  left: box.scrollLeft,
  right: box.scrollWidth - box.clientWidth - box.scrollLeft,
  above: box.scrollTop,
  below: box.scrollHeight - box.clientHeight - box.scrollTop,
});

export const ScrollFrame = ({
  box,
  children,
}: {
  readonly box: RefObject<HTMLElement | null>;
  readonly children: ComponentChildren;
}) => {
  const frame = useRef<HTMLDivElement>(null);
  const [more, setMore] = useState("");
  const look = () => {
    if (box.current === null) return;
    const hidden = hiddenAt(box.current);
    setMore(edges.filter((edge) => hidden[edge] > least).join(" "));
    // The names of rows and columns stay in view. The signs are next to them and below them.
    const names = box.current.querySelector<HTMLElement>("tbody th")?.offsetWidth ?? 0;
    const heads = box.current.querySelector<HTMLElement>("thead")?.offsetHeight ?? 0;
    frame.current?.style.setProperty("--names", `${names}px`);
    frame.current?.style.setProperty("--heads", `${heads}px`);
  };
  // Runs after each render, because the size of the content may have changed.
  useEffect(look);
  useEffect(() => {
    const element = box.current;
    if (element === null) return;
    const observer = new ResizeObserver(look);
    observer.observe(element);
    element.addEventListener("scroll", look, { passive: true });
    return () => {
      observer.disconnect();
      element.removeEventListener("scroll", look);
    };
  }, []);
  return (
    <div ref={frame} class="scroll-frame">
      {children}
      {edges.map((edge) => (
        <span key={edge} class={`edge edge-${edge}${more.split(" ").includes(edge) ? " more" : ""}`} aria-hidden="true">
          {signs[edge]}
        </span>
      ))}
    </div>
  );
};
