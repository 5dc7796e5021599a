import { count } from "../parts/format.ts";
import { models } from "../server/facts.ts";
import { chooseModel, modelOf, type Side } from "./settings.ts";

const shown = (name: string, weights: string | null, step: number | null): string => {
  if (weights === null) return name;
  const isStep = /^\d+$/.test(weights);
  return `${name}: ${isStep ? `step ${count(Number(weights))}` : `${weights}${step === null ? "" : `, step ${count(step)}`}`}`;
};

export const ModelChoice = ({ side, label }: { readonly side: Side; readonly label: string }) => {
  const all = models.value.value?.models ?? [];
  const names = [...new Set(all.map(({ name }) => name))];
  return (
    <label class="field">
      {label}
      <select value={modelOf(side)} onChange={({ currentTarget }) => chooseModel(side, currentTarget.value)}>
        <option value="">Choose a model…</option>
        {names.map((name) => (
          <optgroup key={name} label={name}>
            {all
              .filter((model) => model.name === name)
              .map(({ key, weights, step }) => (
                <option key={key} value={key}>
                  {shown(name, weights, step)}
                </option>
              ))}
          </optgroup>
        ))}
      </select>
    </label>
  );
};
