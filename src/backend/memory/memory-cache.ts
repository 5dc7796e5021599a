/** A cache that keeps freed memory for later storages. The compiled backends and the counting backend use it. */

/** The source from which the cache takes blocks. */
export interface BlockSource {
  /** Returns a handle, or -1 if no memory is left. @param gradually as in `Backend.alloc`. */
  allocate(bytes: number, gradually?: boolean): number;
  release(handle: number): void;
}

/** Freed blocks by size, and the source of new blocks. */
export interface MemoryCache {
  /**
   * Returns a block of `bytes` bytes. `bytes` must be a size that `blockBytes` returns. The block is a freed block if
   * there is one, otherwise a new block. The handle is -1 if no memory is left. @param gradually as in `Backend.alloc`.
   */
  take(bytes: number, gradually?: boolean): number;
  /** Keeps a block for the next `take` of its size. If `isKept` is false, returns the block to the source. */
  giveBack(handle: number, bytes: number, isKept?: boolean): void;
  /** Returns all kept blocks to the source. */
  releaseAll(): void;
  /** Number of bytes of all blocks, used or kept. */
  held(): number;
}

const smallestBlock = 64;

/**
 * Rounds a number of bytes up to the next block size. Each power of two has eight block sizes, so that storages of
 * similar length can use the same blocks.
 */
export const blockBytes = (bytes: number): number => {
  if (bytes <= smallestBlock) return smallestBlock;
  const step = Math.max(smallestBlock, 2 ** (Math.floor(Math.log2(bytes - 1)) - 3));
  return Math.ceil(bytes / step) * step;
};

/**
 * Creates a cache over `source`. A training step frees its memory, and the next step finds its blocks here. A step uses
 * blocks of different sizes at different times, so all blocks together are larger than the peak of the used memory. The
 * cache keeps up to twice this peak. If it would keep more, it returns all spare blocks to the source.
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
    take(bytes, gradually) {
      let handle = spare.get(bytes)?.pop();
      if (handle === undefined) {
        handle = source.allocate(bytes, gradually);
        if (handle < 0 && kept > 0) {
          releaseAll();
          handle = source.allocate(bytes, gradually);
        }
        if (handle < 0) return handle;
      } else {
        kept -= bytes;
      }
      used += bytes;
      mostUsed = Math.max(mostUsed, used);
      return handle;
    },
    giveBack(handle, bytes, isKept = true) {
      used -= bytes;
      if (!isKept) {
        source.release(handle);
        return;
      }
      kept += bytes;
      const handles = spare.get(bytes);
      if (handles === undefined) spare.set(bytes, [handle]);
      else handles.push(handle);
      if (used + kept > 2 * mostUsed) releaseAll();
    },
    held: () => used + kept,
  };
};
