/** What is wrong with a field, at the field: once in view, and read out once. */
import { labelOf } from "./labels.ts";
import { wrongAt, wrongPlaces } from "./planned.ts";

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

/** Moves to a field that is wrong, the first one unless another is named. */
export const goToWrong = (field = wrongPlaces.value[0]): void => {
  const message = field === undefined ? null : document.getElementById(idOf(field));
  const box = message?.closest(".field, .given");
  const control = box?.querySelector<HTMLElement>("textarea, select, input:not([type=file])");
  control?.scrollIntoView({ block: "center" });
  control?.focus({ preventScroll: true });
};

/** Between the names of a list. */
const between = (i: number, length: number): string => (i === 0 ? "" : i === length - 1 ? " and " : ", ");

/** In the plan, which lacks the values of fields: where to look, and not the messages again. */
export const WrongPlace = () => {
  const places = wrongPlaces.value;
  if (places.length === 0) return null;
  return (
    <p class="wrong-place">
      The plan waits for{" "}
      {places.map((field, i) => (
        <span key={field}>
          {between(i, places.length)}
          <button type="button" class="link" onClick={() => goToWrong(field)}>
            “{labelOf(field)}”
          </button>
        </span>
      ))}
      .
    </p>
  );
};
