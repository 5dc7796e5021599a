/** A power of e. */
import type { ComponentChildren } from "preact";

/** Its exponent stands high; who does not see that, and who copies it, has it in brackets. */
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
