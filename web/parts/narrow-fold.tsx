/** Settings and explanations that are folded on a narrow screen, so that the content comes first. */
import { signal } from "@preact/signals";
import type { ComponentChildren } from "preact";

const media = matchMedia("(max-width: 40rem)");
const isNarrow = signal(media.matches);
media.addEventListener("change", () => {
  isNarrow.value = media.matches;
});

export const NarrowFold = ({
  name,
  values = "",
  children,
}: {
  readonly name: string;
  /** The settings in short. Default: none. */
  readonly values?: string;
  readonly children: ComponentChildren;
}) =>
  isNarrow.value ? (
    <details class="fold narrow-fold">
      <summary>
        {name} <span class="soft num">{values}</span>
      </summary>
      {children}
    </details>
  ) : (
    children
  );
