/** Names of models by run and weights. */
import type { ModelListAnswer } from "../../src/serve/studio/protocol.ts";
import { count } from "../parts/format.ts";
import { models } from "../server/facts.ts";

type Model = ModelListAnswer["models"][number];

export const shownModel = ({ name, weights, step }: Pick<Model, "name" | "weights" | "step">): string => {
  if (weights === null) return name;
  if (/^\d+$/.test(weights)) return `${name}: step ${count(Number(weights))}`;
  // While a run trains, the best weights may be newer than its last checkpoint.
  const words = weights === "last" ? "last checkpoint" : weights;
  return `${name}: ${words}${step === null ? "" : `, step ${count(step)}`}`;
};

/** Whether no model of the list has this key, for example because the run was deleted. */
export const isGone = (key: string, all: readonly Pick<Model, "key">[]): boolean =>
  key !== "" && !all.some((model) => model.key === key);

/** Name of the model with a key. If the model is no longer in the list, the name is made from the key. */
export const modelName = (key: string): string => {
  const found = models.value.value?.models.find((model) => model.key === key);
  if (found !== undefined) return shownModel(found);
  const [, name, weights] = /^runs\/([^/]+)\/([^/]+)$/u.exec(key) ?? [];
  return name === undefined || weights === undefined
    ? key.replace(/^models\//u, "")
    : shownModel({ name, weights, step: null });
};
