/**
 * Assigns each piece of the weights to a machine of a team. The owner sums the piece's gradients, holds its moments,
 * and updates it.
 */
import type { ArenaLayout } from "../models/arena.ts";
import { type Piece, piecesOfLayout, type Range } from "../models/pieces.ts";
import type { OptimizerConfig } from "../optim/config.ts";
import { orthogonalWholes } from "../optim/stretches.ts";
import type { OwnedRange } from "./team.ts";

/**
 * The owner of each piece of `piecesOfLayout`, in order. A matrix that Muon updates has a single owner. All machines
 * own about equally many elements.
 */
export const ownersOf = (
  layout: ArenaLayout,
  config: Pick<OptimizerConfig, "kind">,
  size: number,
): readonly number[] => {
  const pieces = piecesOfLayout(layout);
  const orthogonal = orthogonalWholes(layout, config);
  const units = new Map<string, number[]>();
  for (const [number, { whole }] of pieces.entries()) {
    const key = orthogonal.has(whole) ? `matrix ${whole}` : `piece ${number}`;
    units.set(key, [...(units.get(key) ?? []), number]);
  }
  const lengthOf = (numbers: readonly number[]): number =>
    numbers.reduce((sum, number) => sum + widthOf(pieces[number] as Piece), 0);
  // Takes the largest unit first and gives it to the machine with the smallest load, which balances the loads.
  const bySize = [...units.values()].map((numbers) => ({ numbers, length: lengthOf(numbers) }));
  bySize.sort((one, other) => other.length - one.length);
  const loads = new Float64Array(size);
  const owners = new Array<number>(pieces.length).fill(0);
  for (const { numbers, length } of bySize) {
    const owner = loads.indexOf(Math.min(...loads));
    loads[owner] = (loads[owner] ?? 0) + length;
    for (const number of numbers) owners[number] = owner;
  }
  return owners;
};

const widthOf = ({ from, to }: Range): number => to - from;

/**
 * Maximum number of elements of a bucket. Larger buckets need fewer messages; smaller ones let more transfers run while
 * other gradients are still computed.
 */
const bucketLength = 2 ** 20;

/** Neighbouring pieces whose gradients are summed together. */
export interface Bucket extends Range {
  readonly ranges: readonly OwnedRange[];
}

/**
 * Groups the pieces into buckets, in the order in which a backward pass completes them: matrices from the last to the
 * first, then the vectors. (The vectors of the first block are among the last to be complete.)
 */
export const bucketsOf = (layout: ArenaLayout, owners: readonly number[]): readonly Bucket[] => {
  const matrices: Bucket[] = [];
  const vectors: Bucket[] = [];
  for (const [number, { from, to }] of piecesOfLayout(layout).entries()) {
    const buckets = from < layout.decayed ? matrices : vectors;
    const owner = owners[number] ?? 0;
    const last = buckets.at(-1);
    if (last === undefined || to - last.from > bucketLength) {
      buckets.push({ from, to, ranges: [{ from, to, owner }] });
      continue;
    }
    const before = last.ranges.at(-1);
    const ranges =
      before?.owner === owner
        ? [...last.ranges.slice(0, -1), { ...before, to }]
        : [...last.ranges, { from, to, owner }];
    buckets[buckets.length - 1] = { from: last.from, to, ranges };
  }
  return [...matrices.reverse(), ...vectors];
};
