/**
 * Stretches are ranges of a layout that an optimizer updates. Each stretch has offsets at which the optimizer's arrays
 * store its moments.
 */
import type { ArenaLayout } from "../models/arena.ts";
import { type Piece, piecesOfLayout, type Range } from "../models/pieces.ts";
import type { OptimizerConfig } from "./config.ts";
import { isBlockMatrix } from "./state.ts";

/** Elements [from, to) of the weights that one machine updates. */
export interface Stretch extends Range {
  /** Whether the stretch consists of whole matrices that Muon orthogonalises. */
  readonly isOrthogonal: boolean;
  /** Offset of the stretch's first moments in the machine's array. */
  readonly m: number;
  /** Offset of the stretch's second moments in the machine's array. Without second moments, this number is not used. */
  readonly v: number;
  /** Offset of the stretch's second moments in the full layout. */
  readonly vFrom: number;
}

/**
 * Elements [from, to) of an array with the full state. A machine stores these elements at offset `at` of its own array.
 */
export interface HeldRange extends Range {
  readonly at: number;
}

/**
 * Indices of the matrices that Muon updates as a whole; an index has the same meaning as in `Piece`. Empty for other
 * optimizers.
 */
export const orthogonalWholes = (layout: ArenaLayout, { kind }: Pick<OptimizerConfig, "kind">): ReadonlySet<number> => {
  const starts = new Set(kind === "muon" ? layout.parameters.filter(isBlockMatrix).map(({ offset }) => offset) : []);
  const found = new Set<number>();
  for (const { from, whole } of piecesOfLayout(layout)) if (starts.has(from)) found.add(whole);
  return found;
};

/**
 * Joins adjacent pieces for which `isOwn` is true into the longest possible stretches. Weight decay applies to all
 * elements of a stretch or to none. Muon also applies to all or none.
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

/** Ranges of the first moments and of the second moments that a machine stores. */
export const heldRanges = (
  stretches: readonly Stretch[],
): { readonly m: readonly HeldRange[]; readonly v: readonly HeldRange[] } => ({
  m: stretches.map(({ from, to, m }) => ({ from, to, at: m })),
  v: stretches
    .filter(({ isOrthogonal }) => !isOrthogonal)
    .map(({ from, to, v, vFrom }) => ({ from: vFrom, to: vFrom + to - from, at: v })),
});

/** Total number of elements of the ranges. */
export const lengthOf = (ranges: readonly Range[]): number => ranges.reduce((sum, { from, to }) => sum + to - from, 0);
