/** Combines numbers of all ranks: first pairs of ranks, then pairs of pairs, in the order of their passes. */

/** Exchanges numbers with another rank: both ranks call it, with arrays of equal length. */
export type Exchange = (partner: number, sent: Float64Array, received: Float64Array) => Promise<void>;

/** This rank's number, and `size`, the number of ranks (a power of two). */
export interface Rank {
  readonly rank: number;
  readonly size: number;
}

/** Combines the numbers of all ranks. `combine` gets the lower rank's numbers first, and two arrays of equal length. */
export const foldOverRanks = async (
  { rank, size }: Rank,
  exchange: Exchange,
  values: Float64Array,
  combine: (one: Float64Array, other: Float64Array) => Float64Array,
): Promise<Float64Array> => {
  let folded = values;
  for (let distance = 1; distance < size; distance *= 2) {
    const isFirst = Math.floor(rank / distance) % 2 === 0;
    const received = new Float64Array(folded.length);
    await exchange(isFirst ? rank + distance : rank - distance, folded, received);
    folded = isFirst ? combine(folded, received) : combine(received, folded);
  }
  return folded;
};

/** The numbers of every rank, in the order of ranks. All ranks pass arrays of equal length. */
export const gatherOverRanks = async (
  rank: Rank,
  exchange: Exchange,
  values: Float64Array,
): Promise<readonly Float64Array[]> => {
  const all = await foldOverRanks(rank, exchange, values, (one, other) => new Float64Array([...one, ...other]));
  return Array.from({ length: rank.size }, (_, i) => all.subarray(i * values.length, (i + 1) * values.length));
};
