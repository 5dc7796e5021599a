/**
 * Divides a trainer's gradients, moments and updates between the machines of a team. Each machine owns some of the
 * weights. It sums the gradients of its own weights, while the backward pass still computes other gradients
 * (reduce-scatter). It holds only the moments of its own weights, and updates only its own weights (ZeRO-1: Rajbhandari
 * et al. 2020, "ZeRO: Memory Optimizations Toward Training Trillion Parameter Models"). Then all machines get the new
 * weights (all-gather).
 */
import type { Backend, Storage } from "../backend/backend.ts";
import type { ArenaLayout, ReadValues } from "../models/arena.ts";
import { normOf, sumsOfSquares } from "../models/gradients.ts";
import { piecesOfLayout, type Range } from "../models/pieces.ts";
import type { OptimizerConfig } from "../optim/config.ts";
import type { PartOfState } from "../optim/optimizer.ts";
import { heldRanges, type Stretch, stretchesOf } from "../optim/stretches.ts";
import { createCarrier } from "./carrier.ts";
import { type Bucket, bucketsOf, ownersOf } from "./owners.ts";
import type { OwnedRange, Team } from "./team.ts";

/** The gradients, weights and moments of a trainer in a team. */
export interface Sharing {
  /** The weights that this machine updates. */
  readonly stretches: readonly Stretch[];
  /** Marks elements of this machine's gradient sum as final. From then on the team may sum them. */
  complete(range: Range): void;
  /** Waits for the sums over the team. Call it when all elements are final. */
  summed(): Promise<void>;
  /** L2 norm of the gradient, with the same bits as the norm of `Gradients`. */
  norm(): Promise<number>;
  /** Gets the weights or gradients that other machines own, and writes them into this machine's array. */
  gather(storage: Storage): Promise<void>;
  /** Ends all transfers after a failure of this machine. Call it before the arrays are freed. */
  giveUp(): Promise<void>;
  /** Reads an array of the optimizer's state on all machines at once. */
  reader(part: PartOfState): ReadValues;
}

/**
 * Maximum number of elements of the state that are read at a time: it limits the size of an MPI message, and memory.
 */
const readAtATime = 2 ** 22;

const widthOf = ({ from, to }: Range): number => to - from;

/** @param gradients this machine's gradient sums. */
export const createSharing = (
  team: Team,
  backend: Backend,
  layout: ArenaLayout,
  config: OptimizerConfig,
  gradients: Storage,
): Sharing => {
  const { rank, size } = team;
  const pieces = piecesOfLayout(layout);
  const owners = ownersOf(layout, config, size);
  const buckets = bucketsOf(layout, owners);
  const ownPieces = pieces.filter((_, number) => owners[number] === rank);
  const heldBy = Array.from({ length: size }, (_, machine) =>
    heldRanges(stretchesOf(layout, config, (_, number) => owners[number] === machine)),
  );

  const carrier = createCarrier(backend);
  const isOwn = ({ owner }: OwnedRange): boolean => owner === rank;
  const sum = (bucket: Bucket, urgent: boolean): Promise<void> =>
    carrier.carry(gradients, bucket, (array, ranges) => team.reduceScatter(array, ranges, urgent), isOwn);

  /** Number of elements of each bucket that are not final yet, without the gaps between parameters. */
  const parameters = layout.parameters.map(({ offset, size }) => ({ from: offset, to: offset + size }));
  const overlapOf = (one: Range, other: Range): number =>
    Math.max(0, Math.min(one.to, other.to) - Math.max(one.from, other.from));
  const whole = buckets.map((bucket) => parameters.reduce((all, one) => all + overlapOf(one, bucket), 0));
  let left = [...whole];
  let begun: Promise<void>[] = [];

  /** Begins the sums of complete buckets, in the order of the buckets, which is the same on all machines. */
  const beginSums = (urgent: boolean, isComplete: (bucket: number) => boolean): void => {
    while (begun.length < buckets.length && isComplete(begun.length)) {
      begun.push(sum(buckets[begun.length] as Bucket, urgent));
    }
  };

  /** Reads elements of an array of the optimizer's state into `values`. */
  const readShared = async (
    { name, storage, held }: PartOfState,
    asked: Range,
    values: Float32Array,
  ): Promise<void> => {
    for (const range of held) {
      const part = overlap(range, asked);
      if (part === null) continue;
      const own = await backend.read(storage, range.at + part.from - range.from, widthOf(part));
      values.set(own as Float32Array, part.from - asked.from);
    }
    const ranges = heldBy.flatMap((by, owner) =>
      by[name].flatMap((range) => {
        const part = overlap(range, asked);
        return part === null ? [] : [{ from: part.from - asked.from, to: part.to - asked.from, owner }];
      }),
    );
    await team.allGather(values, ranges);
  };

  return {
    stretches: stretchesOf(layout, config, (_, number) => owners[number] === rank),
    complete(range) {
      for (const [i, bucket] of buckets.entries()) left[i] = (left[i] ?? 0) - overlapOf(range, bucket);
      beginSums(false, (bucket) => left[bucket] === 0);
    },
    async summed() {
      beginSums(true, () => true);
      const all = begun;
      begun = [];
      left = [...whole];
      await Promise.all(all);
    },
    async norm() {
      const own = Float32Array.from(await sumsOfSquares(backend, gradients, ownPieces));
      const sums = new Float32Array(pieces.length);
      let next = 0;
      for (const [number, owner] of owners.entries()) if (owner === rank) sums[number] = own[next++] ?? Number.NaN;
      await team.allGather(
        sums,
        owners.map((owner, number) => ({ from: number, to: number + 1, owner })),
      );
      return normOf(sums);
    },
    async gather(storage) {
      await Promise.all(
        buckets.map((bucket) => carrier.carry(storage, bucket, team.allGather, (range) => !isOwn(range))),
      );
    },
    async giveUp() {
      team.giveUp();
      await carrier.settled();
    },
    reader: (part) => async (offset, length) => {
      const values = new Float32Array(length);
      for (let from = 0; from < length; from += readAtATime) {
        const to = Math.min(from + readAtATime, length);
        await readShared(part, { from: offset + from, to: offset + to }, values.subarray(from, to));
      }
      return values;
    },
  };
};

const overlap = (one: Range, other: Range): Range | null => {
  const [from, to] = [Math.max(one.from, other.from), Math.min(one.to, other.to)];
  return from < to ? { from, to } : null;
};
