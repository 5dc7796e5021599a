/** One model, or two side by side: in the address, so that a link shows the same ones. */
import { address, setQuery } from "../shell/address.ts";
import { keep, readKept } from "../shell/kept.ts";

export type Side = "left" | "right";

const queryKeys: Readonly<Record<Side, string>> = { left: "model", right: "with" };

/** The key of a column's model; empty: none is chosen. */
export const modelOf = (side: Side): string => address.value.query.get(queryKeys[side]) ?? "";
export const isDouble = (): boolean => address.value.query.has(queryKeys.right);
export const sidesShown = (): readonly Side[] => (isDouble() ? ["left", "right"] : ["left"]);

type Last = Partial<Record<Side, string>>;

export interface Chosen {
  /** Puts a model into the address, or takes it out, and remembers it. */
  readonly choose: (side: Side, key: string | null) => void;
  /** The models that were chosen last: a view is mostly opened by a link that names none. */
  readonly last: () => Last;
}

/** The choice of models in a view. @param name under which they are kept. */
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
