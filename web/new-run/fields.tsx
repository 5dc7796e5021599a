/** Form for the fields of a configuration, in folded groups. In each group, the common fields come first. */
import { useSignal } from "@preact/signals";
import type { ComponentChildren } from "preact";
import type { RunConfig } from "../../src/config/config.ts";
import type { ConfigFieldInfo } from "../../src/serve/studio/protocol.ts";
import { asSentence, count, flatten, some } from "../parts/format.ts";
import { fields } from "../server/facts.ts";
import { draft, setValue } from "./draft.ts";
import { aboutOf, commonLabels, groups, labelOf } from "./labels.ts";
import { plan, untyped, wrongAt } from "./planned.ts";
import { Wrong, wrongAttributes } from "./wrong.tsx";

interface FieldProps {
  readonly field: ConfigFieldInfo;
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

const OneField = (props: FieldProps) => {
  const { path, about, choices, type } = props.field;
  const label = labelOf(path) ?? path;
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

/** Values that apply while fields are empty, by path. */
const valuesNow = (): ReadonlyMap<string, string> =>
  new Map(untyped.value === undefined ? [] : flatten(untyped.value.config).map(({ path, value }) => [path, value]));

/** Shows nothing if the configuration has no such field. */
export const ConfigField = ({ path }: { readonly path: string }) => {
  const field = fields.value.value?.find((one) => one.path === path);
  return field === undefined ? null : <OneField field={field} now={valuesNow().get(path) ?? ""} />;
};

/** The most important values of a group, for its heading. */
const headingOf: Readonly<Record<string, (config: RunConfig) => string>> = {
  model: ({ model }) =>
    `${some(model.nLayer, "layer")}, ${some(model.nHead, "head")}, width ${count(model.nEmbd)}, context ${count(model.contextLength)}`,
  train: ({ train }) =>
    `batch ${count(train.batchSize)}, learning rate ${train.learningRate}, evaluations every ${some(train.evalInterval, "step")}`,
  tokenizer: ({ tokenizer }) => tokenizer.kind,
};

/** Groups with more rare fields than this number fold these fields. */
const mostRare = 6;

interface GroupProps {
  readonly group: (typeof groups)[number];
  readonly common: readonly ConfigFieldInfo[];
  readonly rare: readonly ConfigFieldInfo[];
  readonly isSearched: boolean;
  /** Further common fields of the group. */
  readonly children?: ComponentChildren;
}

const Group = ({ group: { key, label }, common, rare, isSearched, children }: GroupProps) => {
  const now = valuesNow();
  const list = (own: readonly ConfigFieldInfo[]) =>
    own.map((field) => <OneField key={field.path} field={field} now={now.get(field.path) ?? ""} />);
  const hasWrong = (own: readonly ConfigFieldInfo[]) => own.some(({ path }) => wrongAt(path) !== undefined);
  const all = [...common, ...rare];
  if (all.length === 0) return null;
  const changed = all.filter(({ path }) => draft.value.values[path] !== undefined).length;
  const isFolded = rare.length > mostRare;
  return (
    <details class="fold" open={isSearched || hasWrong(all) || (key === "train" && wrongAt("keepLast") !== undefined)}>
      <summary>
        <h3>{label}</h3>
        {changed > 0 && <span class="tag">{changed} changed</span>}{" "}
        <span class="soft about">{plan.value !== undefined && headingOf[key]?.(plan.value.config)}</span>
      </summary>
      <div class="fields">
        {list(isFolded ? common : all)}
        {!isSearched && children}
      </div>
      {isFolded && (
        <details class="fold rare" open={isSearched || hasWrong(rare)}>
          <summary class="soft">{some(rare.length, "rare setting")}</summary>
          <div class="fields">{list(rare)}</div>
        </details>
      )}
    </details>
  );
};

/** @param training further fields of the group “Training”. */
export const Groups = ({ training }: { readonly training: ComponentChildren }) => {
  const search = useSignal("");
  const all = fields.value.value ?? [];
  const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
  // Wrong fields are always shown, even if they do not match the search.
  const isFound = ({ path, about }: ConfigFieldInfo) =>
    wrongAt(path) !== undefined ||
    words.every((word) => `${path} ${labelOf(path)} ${aboutOf(path, about)}`.toLowerCase().includes(word));
  const found = all.filter((field) => field.path !== "train.steps" && isFound(field));
  const common = Object.keys(commonLabels).flatMap((path) => found.filter((field) => field.path === path));
  return (
    <div class="all-fields">
      <label class="search">
        <span class="hidden-text">Search all {all.length} settings</span>
        <input
          type="search"
          placeholder={`Search all ${all.length} settings`}
          value={search.value}
          onInput={({ currentTarget }) => {
            search.value = currentTarget.value;
          }}
        />
      </label>
      {groups.map((group) => {
        const isOwn = ({ path }: ConfigFieldInfo) => path.startsWith(`${group.key}.`);
        return (
          <Group
            key={group.key}
            group={group}
            common={common.filter(isOwn)}
            rare={found.filter((field) => isOwn(field) && !common.includes(field))}
            isSearched={words.length > 0}
          >
            {group.key === "train" && training}
          </Group>
        );
      })}
    </div>
  );
};
