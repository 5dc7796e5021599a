/** Power of e. */
import type { ComponentChildren } from "preact";

/** The exponent is shown as a superscript. For screen readers and in copied text, the exponent is in brackets. */
export const Power = ({ children }: { readonly children: ComponentChildren }) => (
  <span class="power">
    e
    <sup>
      <span class="hidden-text">^(</span>
      {children}
      <span class="hidden-text">)</span>
    </sup>
  </span>
);
