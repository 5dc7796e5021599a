/** Models as the chat chooses among them. */
import type { ModelListAnswer } from "../../src/serve/studio/protocol.ts";
import { isDouble, modelOf, type Side } from "../models/columns.ts";
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

/** For the list: which models hold no conversations. */
export const remarkOn = ({ hasChatTemplate }: Model): string =>
  hasChatTemplate === false ? " (no conversations)" : "";

/** The model to begin with: one that is known to hold conversations, before one that may. */
const firstOf = (some: readonly Model[]): Model | undefined =>
  some.find(({ hasChatTemplate }) => hasChatTemplate === true) ??
  some.find(({ hasChatTemplate }) => hasChatTemplate === null) ??
  some[0];

/** Chooses where the address names no model: those that were chosen last. */
export const takeModels = (): void => {
  if (models.value.value === undefined || modelOf("left") !== "") return;
  const last = lastModels();
  const isThere = (key: string | undefined): key is string => all().some((model) => model.key === key);
  const left = isThere(last.left) ? last.left : firstOf(all())?.key;
  if (left !== undefined) chooseModel("left", left);
  if (left === last.left && !address.value.query.has("with") && isThere(last.right)) chooseModel("right", last.right);
};

/** Takes models out of the address that the list has no more. @returns their keys. */
export const leaveGone = (): readonly string[] => {
  if (all().length === 0 || underWay.value !== undefined) return [];
  const gone = (["left", "right"] as const).filter((side) => isGone(modelOf(side), all()));
  const keys = gone.map(modelOf);
  for (const side of gone) chooseModel(side, firstOf(all())?.key ?? null);
  return keys;
};

/** A second column, with another run's model if there is one. */
export const beginDouble = (): void => {
  const name = all().find(({ key }) => key === modelOf("left"))?.name;
  const other = firstOf(all().filter((model) => model.name !== name && model.hasChatTemplate !== false));
  chooseModel("right", other?.key ?? modelOf("left"));
};

export const endDouble = (): void => {
  if (isDouble()) chooseModel("right", null);
};

/** Whether a message can be sent to a column's model. */
export const isReady = (side: Side): boolean => modelOf(side) !== "" && !hasNoTemplate(modelOf(side));
