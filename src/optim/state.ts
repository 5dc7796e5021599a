import type { Storage, View } from "../backend/backend.ts";
import { type ArenaLayout, type Placed, partOfLayout } from "../models/arena.ts";
import type { OptimizerConfig } from "./config.ts";
import type { OptimizerLayout } from "./update.ts";

/**
 * Whether a parameter is a matrix inside a block, or several stacked matrices. Muon orthogonalises these parameters.
 */
export const isBlockMatrix = ({ shape, stacked }: Placed): boolean => stacked !== undefined && shape.length >= 2;

/** Layouts of the moments of an optimizer. */
export interface MomentLayouts {
  /** Adam's first moment. For the matrices that Muon updates, it is the momentum. */
  readonly m: ArenaLayout;
  /** Adam's second moment. Matrices that Muon updates have no second moment. */
  readonly v: ArenaLayout;
}

export const momentLayouts = (layout: ArenaLayout, { kind }: Pick<OptimizerConfig, "kind">): MomentLayouts => ({
  m: layout,
  v: kind === "muon" ? partOfLayout(layout, (parameter) => !isBlockMatrix(parameter)) : layout,
});

/**
 * Returns the layouts of an optimizer's moments, without creating the optimizer.
 * @param layout layout of the weights.
 */
export const optimizerLayouts = (
  layout: ArenaLayout,
  config: Pick<OptimizerConfig, "kind">,
): readonly OptimizerLayout[] => {
  const { m, v } = momentLayouts(layout, config);
  return [
    { name: "m", layout: m },
    { name: "v", layout: v },
  ];
};

/** Moments for some ranges of the weights, in a backend's memory. */
export interface Moments {
  readonly m: Storage;
  readonly v: Storage;
  /** A flag that is not 0 if an update has produced a weight or moment that is not finite. */
  readonly unreal: View;
}
