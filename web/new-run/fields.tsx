/** Form for the fields of a configuration. The common fields come first. The other fields are folded in groups. */
import { useSignal } from "@preact/signals";
import type { ConfigFieldInfo } from "../../src/serve/studio/protocol.ts";
import { asSentence, flatten } from "../parts/format.ts";
import { fields } from "../server/facts.ts";
import { draft, setValue } from "./draft.ts";
import { aboutOf, commonLabels, groups, labelOf } from "./labels.ts";
import { untyped, wrongAt } from "./planned.ts";
import { Wrong, wrongAttributes } from "./wrong.tsx";

interface FieldProps {
  readonly field: ConfigFieldInfo;
  readonly label: string;
  /** Value that applies while the field is empty. */
  readonly now: string;
}

const Input = ({ field: { path, type, choices }, now }: FieldProps) => {
  const value = draft.value.values[path] ?? "";
  const options = type === "boolean" ? ["true", "false"] : type === "string" ? choices : [];
  const id = `field-${path}`;
  const common = { id, ...wrongAttributes(path, `${id}-about`) };
  if (options.length > 0) {
    return (
      <select {...common} value={value} onChange={({ currentTarget }) => setValue(path, currentTarget.value)}>
        <option value="">{now === "" ? "–" : now}</option>
        {options
          .filter((option) => option !== now || value === option)
          .map((option) => (
            <option key={option} value={option}>
              {option}
            </option>
          ))}
      </select>
    );
  }
  return (
    <input
      {...common}
      class="num"
      type="text"
      inputMode={type === "number" ? "decimal" : "text"}
      autocomplete="off"
      spellcheck={false}
      placeholder={now}
      value={value}
      onInput={({ currentTarget }) => setValue(path, currentTarget.value.trim())}
    />
  );
};

const Field = (props: FieldProps) => {
  const { field, label } = props;
  const { path, about, choices, type } = field;
  const id = `field-${path}`;
  const isChanged = draft.value.values[path] !== undefined;
  const isDerived = untyped.value?.derived.includes(path) === true && !isChanged;
  return (
    <div class={isChanged ? "field changed" : "field"}>
      <div class="field-head">
        <label for={id} title={path}>
          {label}
        </label>
        {isChanged && (
          <button type="button" class="quiet" aria-label={`Take back ${label}`} onClick={() => setValue(path, "")}>
            reset
          </button>
        )}
        {isDerived && (
          <span class="tag" title="Chosen from the length of the text">
            auto
          </span>
        )}
      </div>
      <Input {...props} />
      <div class="below">
        <span class="about soft" id={`${id}-about`}>
          {asSentence(`${aboutOf(path, about)}${type === "words" ? `: ${choices.join(", ")}` : ""}`)}
        </span>
        <Wrong field={path} />
      </div>
    </div>
  );
};

export const Fields = () => {
  const search = useSignal("");
  const all = fields.value.value ?? [];
  const now = new Map(
    untyped.value === undefined ? [] : flatten(untyped.value.config).map(({ path, value }) => [path, value]),
  );
  const propsOf = (field: ConfigFieldInfo, label: string): FieldProps => ({
    field,
    label,
    now: now.get(field.path) ?? "",
  });
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  // Wrong fields are always shown, even if they do not match the search.
  const isFound = ({ path, about }: ConfigFieldInfo) =>
    wrongAt(path) !== undefined ||
    words.every((word) => `${path} ${labelOf(path)} ${aboutOf(path, about)}`.toLowerCase().includes(word));
  const others = all.filter(({ path }) => commonLabels[path] === undefined);
  return (
    <section class="form-part" aria-labelledby="settings-head">
      <h2 id="settings-head">Settings</h2>
      <div class="fields">
        {Object.entries(commonLabels).flatMap(([path, label]) => {
          const field = all.find((one) => one.path === path);
          return field === undefined ? [] : <Field key={path} {...propsOf(field, label)} />;
        })}
      </div>
      <div class="all-fields">
        <label class="search">
          <span class="hidden-text">Search all {others.length} other settings</span>
          <input
            type="search"
            placeholder={`Search ${others.length} other settings`}
            value={search.value}
            onInput={({ currentTarget }) => {
              search.value = currentTarget.value;
            }}
          />
        </label>
        {groups.map(({ key, label }) => {
          const own = others.filter((field) => field.path.startsWith(`${key}.`));
          const found = own.filter(isFound);
          const hasWrong = own.some(({ path }) => wrongAt(path) !== undefined);
          if (found.length === 0) return null;
          const changed = found.filter(({ path }) => draft.value.values[path] !== undefined).length;
          return (
            <details key={key} class="fold" open={words.length > 0 || hasWrong}>
              <summary>
                <h3>
                  {label} <span class="soft num">{found.length}</span>
                  {changed > 0 && <span class="tag">{changed} changed</span>}
                </h3>
              </summary>
              <div class="fields">
                {found.map((field) => (
                  <Field key={field.path} {...propsOf(field, labelOf(field.path) ?? field.path)} />
                ))}
              </div>
            </details>
          );
        })}
      </div>
    </section>
  );
};
