/** Error message next to a wrong field. Screen readers read it once. */
import { draft } from "./draft.ts";
import { labelOf } from "./labels.ts";
import { wrongAt, wrongPlaces } from "./planned.ts";

const idOf = (field: string): string => `wrong-${field}`;

/** Whether the field waits for a choice. The user has made no mistake there, so its message is not red. */
const isOpenChoice = (field: string): boolean => field === "initFrom" && draft.value.initFrom === "";

/** Message below a field; empty if the field is right. */
export const Wrong = ({ field }: { readonly field: string }) => {
  const wrong = wrongAt(field);
  return wrong === undefined ? null : (
    <b class={isOpenChoice(field) ? "wrong" : "wrong bad"} id={idOf(field)} role="alert">
      {wrong}
    </b>
  );
};

/** Attributes of the control of a field. @param about id of the element that describes the field. */
export const wrongAttributes = (field: string, about?: string) => {
  const isWrong = wrongAt(field) !== undefined && !isOpenChoice(field);
  const described = [about, wrongAt(field) !== undefined ? idOf(field) : undefined]
    .filter((id) => id !== undefined)
    .join(" ");
  return { "aria-invalid": isWrong, "aria-describedby": described === "" ? undefined : described } as const;
};

/** Moves to a wrong field. Default: the first wrong field. */
export const goToWrong = (field = wrongPlaces.value[0]): void => {
  const message = field === undefined ? null : document.getElementById(idOf(field));
  const box = message?.closest(".field, .given");
  const control = box?.querySelector<HTMLElement>("textarea, select, input:not([type=file])");
  for (let fold = control?.closest("details"); fold != null; fold = fold.parentElement?.closest("details"))
    fold.open = true;
  control?.scrollIntoView({ block: "center" });
  control?.focus({ preventScroll: true });
};

/** Separator between the names of a list. */
const between = (i: number, length: number): string => (i === 0 ? "" : i === length - 1 ? " and " : ", ");

/** Links to the wrong fields, without the messages. The plan shows them while fields are wrong. */
export const WrongPlace = () => {
  const places = wrongPlaces.value;
  if (places.length === 0) return null;
  return (
    <p class="wrong-place">
      No plan yet. {places.every(isOpenChoice) ? "Choose a model at" : "Correct"}{" "}
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
