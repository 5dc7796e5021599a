/**
 * The sum of the ranks' gradients along the tree of `gradient-sum.ts`: rank 2i and 2i + 1, then pairs, and so on. Each level
 * halves the part that a rank sums (reduce-scatter by halving), and the sums go back the same way (all-gather by doubling): a
 * rank sends 2 (N − 1) / N times the gradients. The backend adds, so the bits are those of one machine.
 */
import type { Backend, Storage } from "../../backend/backend.ts";

/** This rank's exchange with another: both call it, with arrays of the same lengths. */
export type Exchange = (
  partner: number,
  sent: Float32Array | Float64Array,
  received: Float32Array | Float64Array,
) => Promise<void>;

/** A rank among `size`, a power of two. */
export interface Rank {
  readonly rank: number;
  readonly size: number;
}

/** Elements that are summed at a time: the memory of a sum is bounded by it. */
export const elementsAtATime = 2 ** 20;

/** Part of the storage that a rank still sums, or has summed. */
interface Part {
  readonly from: number;
  readonly to: number;
}

const halvesOf = ({ from, to }: Part): readonly [Part, Part] => {
  const middle = from + Math.floor((to - from) / 2);
  return [
    { from, to: middle },
    { from: middle, to },
  ];
};

const readFloats = async (backend: Backend, storage: Storage, { from, to }: Part): Promise<Float32Array> => {
  const values = await backend.read(storage, from, to - from);
  return values instanceof Float32Array ? values : Float32Array.from(values);
};

/** Replaces `storage` by the sum over all ranks: the same bits on each. */
export const sumOverRanks = async (
  { rank, size }: Rank,
  exchange: Exchange,
  backend: Backend,
  storage: Storage,
): Promise<void> => {
  const most = Math.min(elementsAtATime, storage.length);
  const other = backend.alloc(storage.dtype, most);
  const sumPart = async (whole: Part): Promise<void> => {
    const steps: { readonly partner: number; readonly ours: Part; readonly theirs: Part }[] = [];
    let part = whole;
    for (let distance = 1; distance < size; distance *= 2) {
      const [first, second] = halvesOf(part);
      const isFirst = Math.floor(rank / distance) % 2 === 0;
      const [ours, theirs] = isFirst ? [first, second] : [second, first];
      const partner = isFirst ? rank + distance : rank - distance;
      const received = new Float32Array(ours.to - ours.from);
      await exchange(partner, await readFloats(backend, storage, theirs), received);
      backend.write(other, received);
      const [mine, their] = [
        { storage, offset: ours.from },
        { storage: other, offset: 0 },
      ];
      // In the order of ranks, although either order has the same bits.
      const [a, b] = isFirst ? [mine, their] : [their, mine];
      if (received.length > 0) backend.run("add", { a, b, y: mine, n: received.length });
      steps.push({ partner, ours, theirs });
      part = ours;
    }
    for (const { partner, ours, theirs } of steps.reverse()) {
      const received = new Float32Array(theirs.to - theirs.from);
      await exchange(partner, await readFloats(backend, storage, ours), received);
      backend.write(storage, received, theirs.from);
    }
  };
  try {
    for (let from = 0; from < storage.length; from += most) {
      await sumPart({ from, to: Math.min(from + most, storage.length) });
    }
  } finally {
    backend.free(other);
  }
};

/** Combines numbers of all ranks along the same tree; `combine` gets the lower rank's first, and as many of both. */
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

/** The numbers of every rank, in the order of ranks; each gives as many. */
export const gatherOverRanks = async (
  rank: Rank,
  exchange: Exchange,
  values: Float64Array,
): Promise<readonly Float64Array[]> => {
  const all = await foldOverRanks(rank, exchange, values, (one, other) => new Float64Array([...one, ...other]));
  return Array.from({ length: rank.size }, (_, i) => all.subarray(i * values.length, (i + 1) * values.length));
};
