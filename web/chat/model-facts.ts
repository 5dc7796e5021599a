/** What the chat knows about each model before the user chooses one. */
import type { ModelListAnswer } from "../../src/serve/studio/protocol.ts";
import { isDouble, modelOf, type Side, takeRun } from "../models/columns.ts";
import { isGone } from "../models/model-names.ts";
import { models } from "../server/facts.ts";
import { address } from "../shell/address.ts";
import { chooseModel, lastModels } from "./settings.ts";
import { underWay } from "./talk/asking.ts";

type Model = ModelListAnswer["models"][number];

const all = (): readonly Model[] => models.value.value?.models ?? [];

/** Whether a model is known to have no chat template. */
export const hasNoTemplate = (key: string): boolean =>
  all().find((model) => model.key === key)?.hasChatTemplate === false;

/** The models without a chat template, in the list of models. */
export const withoutChat = {
  label: "Models without conversations",
  has: ({ hasChatTemplate }: Pick<Model, "hasChatTemplate">): boolean => hasChatTemplate === false,
};

/**
 * Default model: a model that is known to have a chat template. If there is no such model, a model that may have a chat
 * template.
 */
const firstOf = (some: readonly Model[]): Model | undefined =>
  some.find(({ hasChatTemplate }) => hasChatTemplate === true) ??
  some.find(({ hasChatTemplate }) => hasChatTemplate === null) ??
  some[0];

/** Chooses the run that the address names. If the address names no model, chooses the models that were chosen last. */
export const takeModels = (): void => {
  if (models.value.value === undefined) return;
  takeRun(chooseModel);
  if (modelOf("left") !== "") return;
  const last = lastModels();
  const isThere = (key: string | undefined): key is string => all().some((model) => model.key === key);
  const left = isThere(last.left) ? last.left : firstOf(all())?.key;
  if (left !== undefined) chooseModel("left", left);
  if (left === last.left && !address.value.query.has("with") && isThere(last.right)) chooseModel("right", last.right);
};

/** Removes models from the address that are no longer in the list. @returns their keys. */
export const leaveGone = (): readonly string[] => {
  if (all().length === 0 || underWay.value !== undefined) return [];
  const gone = (["left", "right"] as const).filter((side) => isGone(modelOf(side), all()));
  const keys = gone.map(modelOf);
  for (const side of gone) chooseModel(side, firstOf(all())?.key ?? null);
  return keys;
};

/** Opens a second column, with the model of another run if there is one. */
export const beginDouble = (): void => {
  const name = all().find(({ key }) => key === modelOf("left"))?.name;
  const other = firstOf(all().filter((model) => model.name !== name && model.hasChatTemplate !== false));
  chooseModel("right", other?.key ?? modelOf("left"));
};

export const endDouble = (): void => {
  if (isDouble()) chooseModel("right", null);
};

/** Whether a message can be sent to the model of a column. */
export const isReady = (side: Side): boolean => modelOf(side) !== "" && !hasNoTemplate(modelOf(side));
