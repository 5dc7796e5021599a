/** The stretches of a layout that an optimizer updates, and where their running means lie in its arrays. */
import type { ArenaLayout } from "../models/arena.ts";
import { type Piece, piecesOfLayout, type Range } from "../models/pieces.ts";
import type { OptimizerConfig } from "./config.ts";
import { isBlockMatrix } from "./state.ts";

/** Elements [from, to) of the weights, which one machine updates. */
export interface Stretch extends Range {
  /** Whether it is made of matrices that Muon makes orthogonal, each of them whole. */
  readonly isOrthogonal: boolean;
  /** Where its first moments begin in the machine's array. */
  readonly m: number;
  /** Where its second moments begin in the machine's array; meaningless if it has none. */
  readonly v: number;
  /** Where its second moments begin in their layout. */
  readonly vFrom: number;
}

/** Elements [from, to) of an array of the state, which lie from `at` on in what a machine holds of it. */
export interface HeldRange extends Range {
  readonly at: number;
}

/** Numbers of the matrices, as in `Piece`, that Muon updates whole; none for other optimizers. */
export const orthogonalWholes = (layout: ArenaLayout, { kind }: Pick<OptimizerConfig, "kind">): ReadonlySet<number> => {
  const starts = new Set(kind === "muon" ? layout.parameters.filter(isBlockMatrix).map(({ offset }) => offset) : []);
  const found = new Set<number>();
  for (const { from, whole } of piecesOfLayout(layout)) if (starts.has(from)) found.add(whole);
  return found;
};

/**
 * The stretches of the pieces that `isOwn` holds for, as long as they can be: weight decay, or Muon, is for all of one or none.
 */
export const stretchesOf = (
  layout: ArenaLayout,
  config: Pick<OptimizerConfig, "kind">,
  isOwn: (piece: Piece, number: number) => boolean,
): readonly Stretch[] => {
  const orthogonal = orthogonalWholes(layout, config);
  const stretches: Stretch[] = [];
  let [m, v, vFrom] = [0, 0, 0];
  for (const [number, piece] of piecesOfLayout(layout).entries()) {
    const { from, to, whole } = piece;
    const isOrthogonal = orthogonal.has(whole);
    const length = to - from;
    if (isOwn(piece, number)) {
      const last = stretches.at(-1);
      const goesOn = last?.to === from && last.isOrthogonal === isOrthogonal && from !== layout.decayed;
      if (goesOn) stretches.pop();
      stretches.push(goesOn ? { ...last, to } : { from, to, isOrthogonal, m, v, vFrom });
      m += length;
      if (!isOrthogonal) v += length;
    }
    if (!isOrthogonal) vFrom += length;
  }
  return stretches;
};

/** What a machine holds of the first and of the second moments, in their layouts. */
export const heldRanges = (
  stretches: readonly Stretch[],
): { readonly m: readonly HeldRange[]; readonly v: readonly HeldRange[] } => ({
  m: stretches.map(({ from, to, m }) => ({ from, to, at: m })),
  v: stretches
    .filter(({ isOrthogonal }) => !isOrthogonal)
    .map(({ from, to, v, vFrom }) => ({ from: vFrom, to: vFrom + to - from, at: v })),
});

/** Elements of all ranges. */
export const lengthOf = (ranges: readonly Range[]): number => ranges.reduce((sum, { from, to }) => sum + to - from, 0);
