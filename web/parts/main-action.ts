/** Ctrl+Enter, or ⌘+Enter, in any field of a view that has one main action. */

/** For `aria-keyshortcuts` of the action's button. */
export const mainActionKeys = "Control+Enter Meta+Enter";
/** For its title. */
export const mainActionTitle = "Ctrl+Enter in any field";

/** A key that was pressed, as far as it matters here. */
export interface Pressed {
  readonly key: string;
  readonly ctrlKey: boolean;
  readonly metaKey: boolean;
  readonly shiftKey: boolean;
  readonly altKey: boolean;
  readonly repeat: boolean;
  /** The keys of an input method belong to the text. */
  readonly isComposing: boolean;
}

export const isMainAction = ({ key, ctrlKey, metaKey, shiftKey, altKey, repeat, isComposing }: Pressed): boolean =>
  key === "Enter" && (ctrlKey || metaKey) && !shiftKey && !altKey && !repeat && !isComposing;

/** Handles keys of an element with fields in it: calls `act` for the main action's keys in one of the fields. */
export const onMainAction =
  (act: () => void) =>
  (event: KeyboardEvent): void => {
    if (event.defaultPrevented || !isMainAction(event) || !(event.target instanceof Element)) return;
    const field = event.target.closest("input, select, textarea");
    if (field === null) return;
    event.preventDefault();
    // Such a number is taken when its field is left.
    if (field.matches("input[type=number]")) field.dispatchEvent(new Event("change", { bubbles: true }));
    act();
  };
