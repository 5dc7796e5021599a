/** Memory of freed storages, kept for the next ones: used by the compiled backends and by the one that only counts. */

/** Source of blocks. */
export interface BlockSource {
  /** A handle, or -1 when there is no memory left. */
  allocate(bytes: number): number;
  release(handle: number): void;
}

/** Freed memory by block size, over a source of blocks. */
export interface MemoryCache {
  /** A block of `bytes`, one of `blockBytes`: a freed one, else a new one. -1 when there is no memory left. */
  take(bytes: number): number;
  /** Keeps a block for the next `take` of its size. */
  giveBack(handle: number, bytes: number): void;
  /** Returns all kept blocks to the source. */
  releaseAll(): void;
  /** Bytes of all blocks, in use and kept. */
  held(): number;
}

const smallestBlock = 64;

/** Rounds up to one of eight sizes per power of two, so that storages of about one length share memory. */
export const blockBytes = (bytes: number): number => {
  if (bytes <= smallestBlock) return smallestBlock;
  const step = Math.max(smallestBlock, 2 ** (Math.floor(Math.log2(bytes - 1)) - 3));
  return Math.ceil(bytes / step) * step;
};

/**
 * A training step frees its memory, so the next step finds all that it needs here. Blocks of different sizes are in use
 * at different times, so a step's blocks together are more than it uses at once: up to twice the most that was in use is
 * held before all spare blocks go back to the source.
 */
export const memoryCache = (source: BlockSource): MemoryCache => {
  const spare = new Map<number, number[]>();
  let used = 0;
  let kept = 0;
  let mostUsed = 0;
  const releaseAll = (): void => {
    for (const handles of spare.values()) for (const handle of handles) source.release(handle);
    spare.clear();
    kept = 0;
  };
  return {
    releaseAll,
    take(bytes) {
      let handle = spare.get(bytes)?.pop();
      if (handle === undefined) {
        handle = source.allocate(bytes);
        if (handle < 0 && kept > 0) {
          releaseAll();
          handle = source.allocate(bytes);
        }
        if (handle < 0) return handle;
      } else {
        kept -= bytes;
      }
      used += bytes;
      mostUsed = Math.max(mostUsed, used);
      return handle;
    },
    giveBack(handle, bytes) {
      used -= bytes;
      kept += bytes;
      const handles = spare.get(bytes);
      if (handles === undefined) spare.set(bytes, [handle]);
      else handles.push(handle);
      if (used + kept > 2 * mostUsed) releaseAll();
    },
    held: () => used + kept,
  };
};
