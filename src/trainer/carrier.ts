/**
 * Sends and receives a backend's arrays for the team, in buckets (owners.ts). A transfer uses the backend's memory
 * directly, or a copy. Computation continues meanwhile.
 */
import type { Backend, Storage } from "../backend/backend.ts";
import type { Bucket } from "./owners.ts";
import type { OwnedRange, Team } from "./team.ts";

/** Passes buckets to the team. Several transfers may be in progress. */
export interface Carrier {
  /**
   * Shares a bucket of `storage`. If the backend gives access to its memory, the transfer starts at once and uses that
   * memory, while kernels write elsewhere. Otherwise the transfer uses a copy.
   * @param taken returns whether the elements of a range come from other machines.
   */
  carry(storage: Storage, bucket: Bucket, how: Team["allGather"], taken: (range: OwnedRange) => boolean): Promise<void>;
  /** Waits until no transfer is in progress, also after an error. */
  settled(): Promise<void>;
}

/** Maximum number of copied buckets at a time, where the backend does not give access to its memory. */
const mostCopies = 4;

/**
 * Starts tasks one after another, so that their order is the same on all machines. At most `most` tasks are in
 * progress.
 */
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
  /**
   * Views of the shared arrays. Each view is made only once, because the JavaScript engine counts every view's bytes as
   * used memory.
   */
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

  /** Transfers in progress. An error is thrown where the transfer is awaited. */
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
