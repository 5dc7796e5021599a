import type { ModelListAnswer } from "../../src/serve/studio/protocol.ts";
import { models } from "../server/facts.ts";
import { shownModel } from "./model-names.ts";

export interface ModelChoiceProps {
  readonly label: string;
  /** The key of the chosen one; empty: none is. */
  readonly value: string;
  readonly onChoose: (key: string) => void;
  /** What a model's name is followed by. Default: nothing. */
  readonly remarkOn?: (model: ModelListAnswer["models"][number]) => string;
}

/** A choice among all models, grouped by their runs. */
export const ModelChoice = ({ label, value, onChoose, remarkOn = () => "" }: ModelChoiceProps) => {
  const all = models.value.value?.models ?? [];
  const names = [...new Set(all.map(({ name }) => name))];
  return (
    <label class="field">
      {label}
      <select
        value={value}
        onFocus={() => void models.load()}
        onChange={({ currentTarget }) => onChoose(currentTarget.value)}
      >
        <option value="">Choose a model…</option>
        {names.map((name) => (
          <optgroup key={name} label={name}>
            {all
              .filter((model) => model.name === name)
              .map((model) => (
                <option key={model.key} value={model.key}>
                  {shownModel(model)}
                  {remarkOn(model)}
                </option>
              ))}
          </optgroup>
        ))}
      </select>
    </label>
  );
};
