/** What is wrong with a field, at the field: once in view, and read out once. */
import { labelOf } from "./labels.ts";
import { wrongAt, wrongField } from "./planned.ts";

const idOf = (field: string): string => `wrong-${field}`;

/** Below a field: empty as long as nothing is wrong with it. */
export const Wrong = ({ field }: { readonly field: string }) => {
  const wrong = wrongAt(field);
  return wrong === undefined ? null : (
    <b class="wrong bad" id={idOf(field)} role="alert">
      {wrong}
    </b>
  );
};

/** Attributes of the control of a field. @param about id of what describes it anyway. */
export const wrongAttributes = (field: string, about?: string) => {
  const isWrong = wrongAt(field) !== undefined;
  const described = [about, isWrong ? idOf(field) : undefined].filter((id) => id !== undefined).join(" ");
  return { "aria-invalid": isWrong, "aria-describedby": described === "" ? undefined : described } as const;
};

/** Moves to the field that is wrong. */
export const goToWrong = (): void => {
  const field = wrongField.value;
  const message = field === undefined ? null : document.getElementById(idOf(field));
  const box = message?.closest(".field, .given");
  const control = box?.querySelector<HTMLElement>("textarea, select, input:not([type=file])");
  control?.scrollIntoView({ block: "center" });
  control?.focus({ preventScroll: true });
};

/** In the plan, which lacks the field's value: where to look, and not the message again. */
export const WrongPlace = () => {
  const field = wrongField.value;
  if (field === undefined) return null;
  return (
    <p class="wrong-place">
      The plan waits for{" "}
      <button type="button" class="link" onClick={goToWrong}>
        “{labelOf(field)}”
      </button>
      .
    </p>
  );
};
