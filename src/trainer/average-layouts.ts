/** The arrays of an average of the weights (average.ts) in a trainer's state. */
import type { AverageConfig } from "../config/average.ts";
import { type ArenaLayout, arenaLayout } from "../models/arena.ts";

/** Name of the array with the counters: averaged steps (`ema`), or the step of each copy (`last-k`; 0: no copy). */
export const averageCountsName = "averaged";

/** Number of arrays with weights. */
export const copiesOf = (config: AverageConfig): number => (config.kind === "ema" ? 1 : config.count);

interface NamedLayout {
  readonly name: string;
  readonly layout: ArenaLayout;
}

/**
 * The arrays of an average in a trainer's state.
 * @param layout layout of the trained weights.
 */
export const averageLayouts = (layout: ArenaLayout, config: AverageConfig | undefined): readonly NamedLayout[] => {
  if (config === undefined) return [];
  const copies = copiesOf(config);
  const counts = arenaLayout((declare) => {
    declare({ name: "counts", shape: [copies], init: { kind: "zeros" } });
  });
  return [
    ...Array.from({ length: copies }, (_, i) => ({ name: `average${i}`, layout })),
    { name: averageCountsName, layout: counts },
  ];
};

/** Whether an array of a trainer's state belongs to the average. */
export const isOfAverage = ({ name }: Pick<NamedLayout, "name">): boolean =>
  /^average\d+$/u.test(name) || name === averageCountsName;
