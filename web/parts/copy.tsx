import { useSignal } from "@preact/signals";

/** Copies a text without the clipboard API. Pages from another machine over plain HTTP do not have this API. */
const copyBySelection = (text: string): boolean => {
  const box = document.createElement("textarea");
  box.value = text;
  box.className = "hidden-text";
  document.body.append(box);
  const before = document.activeElement;
  box.select();
  const isCopied = document.execCommand("copy");
  box.remove();
  if (before instanceof HTMLElement) before.focus({ preventScroll: true });
  return isCopied;
};

/** Button that copies a text and confirms it. */
export const Copy = ({
  text,
  label,
  quiet = false,
  disabled = false,
}: {
  readonly text: () => string;
  readonly label: string;
  readonly quiet?: boolean;
  readonly disabled?: boolean;
}) => {
  const said = useSignal("");
  const copy = async () => {
    try {
      // TypeScript's DOM types do not say that the clipboard may be missing.
      const clipboard = navigator.clipboard as Clipboard | undefined;
      if (clipboard !== undefined) await clipboard.writeText(text());
      else if (!copyBySelection(text())) throw new Error("refused");
      said.value = "Copied";
    } catch {
      said.value = "The browser refused";
    }
    setTimeout(() => {
      said.value = "";
    }, 2000);
  };
  return (
    <button type="button" class={quiet ? "quiet copy" : "copy"} disabled={disabled} onClick={copy}>
      <span aria-live="polite" class={said.value === "" ? "hidden-text" : "copy-said"}>
        {said.value}
      </span>
      <span class={said.value === "" ? "" : "faded"}>{label}</span>
    </button>
  );
};
