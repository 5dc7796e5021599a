import type { PageMemory } from "./page-memory.ts";
import { createPrefixTree, type PrefixTree } from "./prefix-tree.ts";

/** The pages of an engine: which are in use, kept for later, or free. */
export interface Pages {
  /** Beginnings of texts that are in memory. */
  readonly prefixes: PrefixTree;
  /** Most pages there may be. */
  readonly limit: number;
  /** Pages that hold something: in use, or kept for later. */
  readonly used: number;
  /** Pages that were promised and not taken yet. */
  readonly promised: number;
  /** Promises `count` pages, if there are so many that nobody uses and nobody was promised. */
  promise(count: number): boolean;
  /** Promises a page to who has given one up that it had been promised: there is room for it. */
  promiseAgain(): void;
  /** Gives a promise back. */
  forgo(count: number): void;
  /**
   * A promised page, its contents undefined. Beginnings that nobody uses make room.
   * @throws ConfigError if memory is short.
   */
  take(): number;
  /** Gives a page back that is in no tree. */
  give(page: number): void;
}

export const createPages = (memory: PageMemory, limit: number): Pages => {
  const free: number[] = [];
  let fresh = 0;
  let promised = 0;
  const give = (page: number): void => {
    free.push(page);
  };
  const prefixes = createPrefixTree(give);
  const used = (): number => fresh - free.length;
  /** A page that was never used. Memory for them doubles: the limit costs what is used of it. */
  const takeFresh = (): number | undefined => {
    if (fresh >= limit) return undefined;
    if (fresh >= memory.pages) {
      try {
        memory.grow(Math.min(limit, 2 * memory.pages));
      } catch (error) {
        if (prefixes.idle === 0) throw error;
        return undefined;
      }
    }
    return memory.stride * fresh++;
  };
  return {
    prefixes,
    limit,
    get used() {
      return used();
    },
    get promised() {
      return promised;
    },
    promise(count) {
      if (promised + count > limit - used() + prefixes.idle) return false;
      promised += count;
      return true;
    },
    promiseAgain() {
      promised++;
    },
    forgo(count) {
      promised -= count;
    },
    take() {
      const page = free.pop() ?? takeFresh() ?? prefixes.takeOldest();
      if (page === undefined) throw new Error("a page is taken after it was promised");
      promised--;
      return page;
    },
    give,
  };
};
