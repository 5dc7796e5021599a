import { useSignal } from "@preact/signals";

/** Copies a text and says so. */
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
      await navigator.clipboard.writeText(text());
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
