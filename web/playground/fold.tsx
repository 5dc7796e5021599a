/** Settings that are folded, so that the text comes first. The summary has their values. */
import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import { useEffect } from "preact/hooks";

export interface FoldProps {
  readonly name: string;
  /** The settings in short. */
  readonly values: string;
  /** Whether the user must see the settings now. The fold then opens. */
  readonly opens?: boolean;
  readonly children: ComponentChildren;
}

export const Fold = ({ name, values, opens = false, children }: FoldProps) => {
  const isOpen = useSignal(opens);
  useEffect(() => {
    if (opens) isOpen.value = true;
  }, [opens]);
  return (
    <details
      class="fold narrow-fold"
      open={isOpen.value}
      onToggle={({ currentTarget }) => {
        isOpen.value = currentTarget.open;
      }}
    >
      <summary>
        {name} <span class="soft num">{values}</span>
      </summary>
      {children}
    </details>
  );
};
