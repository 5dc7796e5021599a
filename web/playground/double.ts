/** Opens and closes the second column. */

import { modelOf } from "../models/columns.ts";
import { models } from "../server/facts.ts";
import { change, chooseModel, settings } from "./settings.ts";

/**
 * Opens the second column with another run's model, or with another temperature. Otherwise both columns would write the
 * same text.
 */
export const beginDouble = (): void => {
  const all = models.value.value?.models ?? [];
  const left = modelOf("left");
  const name = all.find(({ key }) => key === left)?.name;
  const others = all.filter((model) => model.name !== name);
  const another = others.find(({ weights }) => weights === "best") ?? others[0];
  chooseModel("right", another?.key ?? left);
  if (another !== undefined) return;
  const { left: first, right } = settings.value;
  if (JSON.stringify(first) !== JSON.stringify(right)) return;
  const { temperature } = first;
  const other = temperature <= 1 ? temperature + 0.4 : temperature - 0.4;
  change({ right: { ...right, temperature: Number(other.toFixed(2)) } });
};

export const endDouble = (): void => chooseModel("right", null);
