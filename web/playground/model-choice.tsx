import { models } from "../server/facts.ts";
import { shownModel } from "./model-names.ts";
import { chooseModel, modelOf, type Side } from "./settings.ts";

export const ModelChoice = ({ side, label }: { readonly side: Side; readonly label: string }) => {
  const all = models.value.value?.models ?? [];
  const names = [...new Set(all.map(({ name }) => name))];
  return (
    <label class="field">
      {label}
      <select
        value={modelOf(side)}
        onFocus={() => void models.load()}
        onChange={({ currentTarget }) => chooseModel(side, currentTarget.value)}
      >
        <option value="">Choose a model…</option>
        {names.map((name) => (
          <optgroup key={name} label={name}>
            {all
              .filter((model) => model.name === name)
              .map((model) => (
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
