import type { ModelListAnswer } from "../../src/serve/studio/protocol.ts";
import { models } from "../server/facts.ts";
import { modelGroups } from "./model-groups.ts";
import { shownModel } from "./model-names.ts";

type Model = ModelListAnswer["models"][number];

export interface ModelChoiceProps {
  readonly label: string;
  /** Key of the chosen model; empty if no model is chosen. */
  readonly value: string;
  readonly onChoose: (key: string) => void;
  /** The models that the view cannot use. They come last, in one group. Default: none. */
  readonly unusable?: { readonly label: string; readonly has: (model: Model) => boolean };
}

/** Select element with all models, grouped by run and sweep. */
export const ModelChoice = ({ label, value, onChoose, unusable }: ModelChoiceProps) => {
  const all = models.value.value?.models ?? [];
  const last = unusable === undefined ? [] : all.filter(unusable.has);
  const groups = [
    ...modelGroups(all.filter((model) => !last.includes(model))),
    ...(last.length === 0
      ? []
      : [{ label: unusable?.label ?? "", models: modelGroups(last).flatMap((group) => group.models) }]),
  ];
  return (
    <label class="field">
      {label}
      <select
        value={value}
        onFocus={() => void models.load()}
        onChange={({ currentTarget }) => onChoose(currentTarget.value)}
      >
        <option value="">Choose a model…</option>
        {groups.map((group) => (
          <optgroup key={group.label} label={group.label}>
            {group.models.map((model) => (
              <option key={model.key} value={model.key}>
                {shownModel(model)}
              </option>
            ))}
          </optgroup>
        ))}
      </select>
    </label>
  );
};
