/** One or two models, in columns side by side. The address names the models, so a link opens the same models. */
import { models } from "../server/facts.ts";
import { address, setQuery } from "../shell/address.ts";
import { keep, readKept } from "../shell/kept.ts";

export type Side = "left" | "right";

const queryKeys: Readonly<Record<Side, string>> = { left: "model", right: "with" };

/** Key of a column's model; empty if no model is chosen. */
export const modelOf = (side: Side): string => address.value.query.get(queryKeys[side]) ?? "";
export const isDouble = (): boolean => address.value.query.has(queryKeys.right);
export const sidesShown = (): readonly Side[] => (isDouble() ? ["left", "right"] : ["left"]);

type Last = Partial<Record<Side, string>>;

export interface Chosen {
  /** Sets or removes a model in the address, and remembers the choice. */
  readonly choose: (side: Side, key: string | null) => void;
  /** Models that were chosen last. These models are used if the address names no model. */
  readonly last: () => Last;
}

/** Choice of models in a view. @param name key under which the last choice is stored. */
export const modelsChosenIn = (name: string): Chosen => {
  const last = (): Last => readKept<Last>(name) ?? {};
  return {
    last,
    choose: (side, key) => {
      setQuery({ [queryKeys[side]]: key });
      const { [side]: _, ...others } = last();
      keep(name, key === null || key === "" ? others : { ...others, [side]: key });
    },
  };
};

/**
 * Chooses the best weights of the run that the address names. Links on a run's page have `?run=NAME`. Call it when the
 * list of models has arrived.
 */
export const takeRun = (choose: Chosen["choose"]): void => {
  const name = address.value.query.get("run");
  if (name === null) return;
  const own = (models.value.value?.models ?? []).filter((model) => model.name === name);
  const wanted = own.find(({ weights }) => weights === "best") ?? own[0];
  setQuery({ run: null });
  if (wanted !== undefined) choose("left", wanted.key);
};
