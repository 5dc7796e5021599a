/** Choice of the form of a text, with the field and the error of this form. */

import { Fold } from "./fold.tsx";
import { change, formText, formWrong, settings } from "./settings.ts";
import { type FormKind, fieldOf, formChoices } from "./text-form.ts";

const FormText = () => {
  const { form, formTexts } = settings.value;
  const field = fieldOf(form);
  if (field === undefined) return null;
  const wrong = formWrong();
  return (
    <div class="field form-text">
      <label for="form-text">{field.label}</label>
      <textarea
        id="form-text"
        rows={form === "regex" ? 1 : 4}
        spellcheck={false}
        autocomplete="off"
        placeholder={field.example}
        value={formText()}
        aria-invalid={wrong !== undefined}
        aria-describedby={wrong === undefined ? "form-about" : "form-about form-wrong"}
        onInput={({ currentTarget }) => change({ formTexts: { ...formTexts, [form]: currentTarget.value } })}
      />
      <div class="below">
        <span class="about soft" id="form-about">
          {field.about}
        </span>
        {wrong !== undefined && (
          <b class="wrong bad" id="form-wrong" role="alert">
            {wrong}
          </b>
        )}
      </div>
    </div>
  );
};

export const FormField = () => {
  const { form } = settings.value;
  return (
    // The field of a form, and its error, must be in view.
    <Fold name="Form" values={formChoices.find(({ kind }) => kind === form)?.label ?? ""} opens={form !== "any"}>
      <div class="field">
        <select
          aria-label="Form"
          value={form}
          onChange={({ currentTarget }) => change({ form: currentTarget.value as FormKind })}
        >
          {formChoices.map(({ kind, label }) => (
            <option key={kind} value={kind}>
              {label}
            </option>
          ))}
        </select>
      </div>
      <FormText />
    </Fold>
  );
};

export const GuessChoice = () => (
  <label
    class="check"
    title="If the last words stand earlier in the text, the words after them are the guess. The model checks it in one pass. The text stays the same."
  >
    <input
      type="checkbox"
      checked={settings.value.guesses}
      onChange={({ currentTarget }) => change({ guesses: currentTarget.checked })}
    />
    <span>
      Guess repeated words <span class="soft">to write faster</span>
    </span>
  </label>
);
