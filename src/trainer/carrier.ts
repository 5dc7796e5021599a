/**
 * Carrying arrays between machines: a bucket of a backend's array is handed to the team as it lies in memory, or as a copy. Work
 * goes on meanwhile.
 */
import type { Backend, Storage } from "../backend/backend.ts";
import type { Bucket } from "./owners.ts";
import type { OwnedRange, Team } from "./team.ts";

/** Carries buckets; several may be under way. */
export interface Carrier {
  /**
   * Shares a bucket of `storage`: its memory itself where the backend shows it, at once, while kernels write elsewhere; else a
   * copy.
   * @param taken whose elements come from others.
   */
  carry(storage: Storage, bucket: Bucket, how: Team["allGather"], taken: (range: OwnedRange) => boolean): Promise<void>;
  /** Waits until nothing is under way, after an error too. */
  settled(): Promise<void>;
}

/** Buckets that are copied at a time, where the backend does not show its memory. */
const mostCopies = 4;

/** Begins pieces of work one after the other, so in the same order on all machines, when fewer than `most` are under way. */
const inOrder = (most: number): ((begin: () => Promise<{ readonly ended: Promise<void> }>) => Promise<void>) => {
  let last: Promise<unknown> = Promise.resolve();
  const underWay: Promise<void>[] = [];
  return (begin) => {
    const begun = last.then(async () => {
      while (underWay.length >= most) await underWay.shift();
      const { ended } = await begin();
      underWay.push(ended);
      return { ended };
    });
    last = begun;
    return begun.then(({ ended }) => ended);
  };
};

export const createCarrier = (backend: Backend): Carrier => {
  /** The memory of the arrays that are shared: made once, since the engine counts each view as so many bytes taken. */
  const shown = new Map<Storage, Float32Array | null>();
  const memoryOf = (storage: Storage): Float32Array | null => {
    const known = shown.get(storage);
    if (known !== undefined) return known;
    const memory = backend.view?.(storage);
    const found = memory instanceof Float32Array ? memory : null;
    shown.set(storage, found);
    return found;
  };

  const beginCopy = inOrder(mostCopies);

  /** What is under way. An error is thrown where it is waited for. */
  const underWay = new Set<Promise<void>>();
  const noted = (work: Promise<void>): Promise<void> => {
    underWay.add(work);
    const ended = (): void => {
      underWay.delete(work);
    };
    work.then(ended, ended);
    return work;
  };

  return {
    carry(storage, { from: first, to, ranges }, how, taken) {
      const memory = memoryOf(storage);
      if (memory !== null) return noted(how(memory, ranges));
      const copied = async (): Promise<{ readonly ended: Promise<void> }> => {
        const copy = (await backend.read(storage, first, to - first)) as Float32Array;
        const shifted = ranges.map(({ from, to, owner }) => ({ from: from - first, to: to - first, owner }));
        const ended = how(copy, shifted).then(() => {
          for (const range of shifted.filter(taken)) {
            backend.write(storage, copy.subarray(range.from, range.to), first + range.from);
          }
        });
        return { ended };
      };
      return noted(beginCopy(copied));
    },
    async settled() {
      await Promise.allSettled(underWay);
    },
  };
};
