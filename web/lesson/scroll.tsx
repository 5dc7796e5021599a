/** What may be wider than a phone: it scrolls by itself, by keys too. */
import type { ComponentChildren } from "preact";

export const Scroll = ({ label, children }: { readonly label: string; readonly children: ComponentChildren }) => (
  // biome-ignore lint/a11y/noNoninteractiveTabindex: who has no pointer scrolls it by the arrow keys
  <section class="scroll" aria-label={label} tabIndex={0}>
    {children}
  </section>
);
