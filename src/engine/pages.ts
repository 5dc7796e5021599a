import type { PageMemory } from "./page-memory.ts";
import { createPrefixTree, type PrefixTree } from "./prefix-tree.ts";

/** The pages of an engine: in use, kept for later, or free. */
export interface Pages {
  /** Prefixes of texts that are still in memory. */
  readonly prefixes: PrefixTree;
  /** Maximum number of pages. */
  readonly limit: number;
  /** Number of pages that are in use or kept for later. */
  readonly used: number;
  /** Number of reserved pages that are not yet taken. */
  readonly reserved: number;
  /** Reserves `count` pages. Returns false if not enough pages are left. */
  reserve(count: number): boolean;
  /** Reserves a page for a sequence that has just returned a reserved page. This always succeeds. */
  reserveAgain(): void;
  /** Returns `count` reservations. */
  unreserve(count: number): void;
  /**
   * Takes a reserved page. Its contents are undefined. If no page is free, it removes the oldest unused prefix.
   * @throws ConfigError if there is not enough memory.
   */
  take(): number;
  /** Frees a page that is in no tree. */
  give(page: number): void;
}

export const createPages = (memory: PageMemory, limit: number): Pages => {
  const free: number[] = [];
  let fresh = 0;
  let reserved = 0;
  const give = (page: number): void => {
    free.push(page);
  };
  const prefixes = createPrefixTree(give);
  const used = (): number => fresh - free.length;
  /**
   * Takes a page that was never used. The allocated memory doubles when needed, so a high limit costs no memory before
   * the pages are used.
   */
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
    get reserved() {
      return reserved;
    },
    reserve(count) {
      if (reserved + count > limit - used() + prefixes.idle) return false;
      reserved += count;
      return true;
    },
    reserveAgain() {
      reserved++;
    },
    unreserve(count) {
      reserved -= count;
    },
    take() {
      const page = free.pop() ?? takeFresh() ?? prefixes.takeOldest();
      if (page === undefined) throw new Error("a page must be reserved before it is taken");
      reserved--;
      return page;
    },
    give,
  };
};
