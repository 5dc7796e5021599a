/** Ctrl+Enter, or ⌘+Enter, in any field of a view that has one main action. */

/** Value of `aria-keyshortcuts` of the action's button. */
export const mainActionKeys = "Control+Enter Meta+Enter";
/** Title of the action's button. */
export const mainActionTitle = "Ctrl+Enter in any field";

/** The properties of a keyboard event that are used here. */
export interface Pressed {
  readonly key: string;
  readonly ctrlKey: boolean;
  readonly metaKey: boolean;
  readonly shiftKey: boolean;
  readonly altKey: boolean;
  readonly repeat: boolean;
  /** Keys of an input method (IME) belong to the text. */
  readonly isComposing: boolean;
}

export const isMainAction = ({ key, ctrlKey, metaKey, shiftKey, altKey, repeat, isComposing }: Pressed): boolean =>
  key === "Enter" && (ctrlKey || metaKey) && !shiftKey && !altKey && !repeat && !isComposing;

/** Key handler for an element with fields. Calls `act` when the main action's keys are pressed in one of the fields. */
export const onMainAction =
  (act: () => void) =>
  (event: KeyboardEvent): void => {
    if (event.defaultPrevented || !isMainAction(event) || !(event.target instanceof Element)) return;
    const field = event.target.closest("input, select, textarea");
    if (field === null) return;
    event.preventDefault();
    // A number field normally updates its value only when it loses the focus.
    if (field.matches("input[type=number]")) field.dispatchEvent(new Event("change", { bubbles: true }));
    act();
  };
