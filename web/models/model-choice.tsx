import type { ModelListAnswer } from "../../src/serve/studio/protocol.ts";
import { models } from "../server/facts.ts";
import { shownModel } from "./model-names.ts";

export interface ModelChoiceProps {
  readonly label: string;
  /** Key of the chosen model; empty if no model is chosen. */
  readonly value: string;
  readonly onChoose: (key: string) => void;
  /** Text after a model's name. Default: no text. */
  readonly remarkOn?: (model: ModelListAnswer["models"][number]) => string;
}

/** Select element with all models, grouped by run. */
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
