/** The pages of one sequence: first the shared pages, then the sequence's own pages. */
import { pageRows } from "../backend/kernels/sizes.ts";
import type { Model } from "../models/model.ts";
import type { PageMemory } from "./page-memory.ts";
import type { Pages } from "./pages.ts";
import type { PrefixNode } from "./prefix-tree.ts";

/** Resources that the sequences of an engine share. */
export interface SequenceRoom {
  readonly pages: Pages;
  readonly memory: PageMemory;
}

/** The part of a sequence that is already computed. */
export interface Computed {
  /** Whole pages. */
  readonly path: readonly PrefixNode[];
  /**
   * Number of pages at the beginning that are before the attention window. The contents of these pages do not matter.
   * Default 0.
   */
  readonly gone?: number;
  /** A page with first rows that the sequence copies. `node` is null if the page is in no tree. */
  readonly part: { readonly node: PrefixNode | null; readonly page: number; readonly rows: number } | null;
}

/** The pages of one sequence. */
export interface SequencePages {
  /** Number of whole shared pages. The shared pages come before all other pages. */
  readonly shared: number;
  /** Describes the first `positions` computed positions. Another sequence can then continue from these positions. */
  computed(positions: number): Computed;
  /**
   * The numbers of the first `count` pages. If there are fewer pages, more are taken. The number of a dropped page is
   * arbitrary. The same array is returned until the pages change.
   * @throws ConfigError if there is not enough memory.
   */
  first(count: number): readonly number[];
  /** Adds the sequence's first own page and its tokens to the prefix tree. Other sequences can then use the page. */
  share(tokens: readonly number[]): void;
  /** Whether the sequence has pages of its own. */
  readonly hasOwn: boolean;
  /** Releases the shared pages. Later, the sequence takes its own pages instead. */
  unshare(): void;
  /**
   * Drops `count` pages after the first page, and appends them at the end for reuse. The positions of the later pages
   * move forward. `left` is the number of pages still in use. The pages must not be shared.
   */
  slide(count: number, left: number): void;
  /**
   * Releases the first `count` pages, which are no longer read. The sequence must have been opened with `window`.
   * @param exceptFirst keeps the very first page, because it returns to the window when the window slides. If true, the
   * pages must not be shared.
   */
  drop(count: number, exceptFirst: boolean): void;
  /** Releases all pages. */
  close(): void;
}

/** A smaller computed part that needs fewer pages, or null if no smaller part exists. */
const lessOf = ({ path, gone = 0, part }: Computed, withoutAny: boolean): Computed | null => {
  // Without `part`, the window begins earlier and may need released pages. So if pages were released, everything is
  // computed again.
  if (part !== null && gone === 0) return { path, part: null };
  if (part !== null) return { path: [], part: null };
  return withoutAny && path.length > 0 ? { path: [], part: null } : null;
};

const present = (pages: readonly (number | null)[]): number[] => pages.filter((page) => page !== null);

/**
 * Opens the pages of a sequence, if `most` pages can be reserved.
 * @param replaces whether the sequence later replaces its shared pages by its own pages.
 * @param window maximum number of own pages at a time, because pages before the attention window are dropped. Null
 * means no limit.
 * @returns the pages and the number of computed positions in them, or null if the pages cannot be reserved.
 */
export const openSequencePages = (
  { pages, memory }: SequenceRoom,
  owner: Model,
  { path: before, part, gone: goneBefore = 0 }: Computed,
  most: number,
  replaces: boolean,
  window: number | null = null,
): { readonly own: SequencePages; readonly positions: number } | null => {
  const { prefixes } = pages;
  const found = before.slice(goneBefore);
  const taken = Math.max(0, most - (replaces ? 0 : before.length));
  // With windows, a sequence may replace a shared page that others still use. So shared pages are reserved too.
  let reserved = window === null ? taken : Math.min(taken, window) + found.length;
  // Add references to these nodes before pages are taken. Otherwise these nodes could be removed to free pages.
  const copied = part?.node == null ? [] : [part.node];
  prefixes.hold(found);
  prefixes.hold(copied);
  const isReserved = pages.reserve(reserved);
  if (!isReserved) {
    prefixes.release(copied);
    prefixes.release(found);
    // The shared and copied pages may be the pages that are missing. So try again with fewer of them.
    const less = lessOf({ path: before, gone: goneBefore, part }, replaces || window !== null);
    return less === null ? null : openSequencePages({ pages, memory }, owner, less, most, replaces, window);
  }
  // The tree of the current weights. After a change of the weights, pages from the old weights must not be found.
  const tree = prefixes.current(owner);
  let path: PrefixNode[] = [...before];
  /** Number of released pages at the beginning, both shared and own. */
  let gone = goneBefore;
  /**
   * Entries of `path` before this index were found in the tree. With a window, each entry that is still referenced has
   * a reservation.
   */
  let foundEnd = window === null ? 0 : before.length;
  /** Own pages. A released page is null. */
  const own: (number | null)[] = [];
  /** The last result of `first`. Undefined if the pages have changed since that call. */
  let listed: readonly number[] | undefined;
  const take = (): void => {
    own.push(pages.take());
    reserved--;
  };
  const held = (): PrefixNode[] => path.slice(gone);
  const close = (): void => {
    for (const page of present(own.splice(0))) pages.give(page);
    pages.unreserve(reserved);
    reserved = 0;
    prefixes.release(held());
    prefixes.touch(path.slice(0, gone));
    path = [];
  };
  try {
    if (part !== null) {
      take();
      memory.copy(part.page, own[0] as number, part.rows);
    }
  } catch (error) {
    prefixes.release(copied);
    close();
    throw error;
  }
  prefixes.release(copied);
  const positions = path.length * pageRows + (part?.rows ?? 0);

  const result: SequencePages = {
    get shared() {
      return path.length;
    },
    get hasOwn() {
      return own.length > 0;
    },
    computed(count) {
      const rows = count - path.length * pageRows;
      const [page] = own;
      return { path: [...path], gone, part: rows > 0 && page != null ? { node: null, page, rows } : null };
    },
    first(count) {
      if (listed?.length === count) return listed;
      while (path.length + own.length < count) take();
      listed = [...path.map(({ page }, i) => (i < gone ? 0 : page)), ...own.map((page) => page ?? 0)].slice(0, count);
      return listed;
    },
    share(tokens) {
      const page = own.shift() as number;
      const node = prefixes.add(tree, path.at(-1) ?? null, tokens, page);
      if (node.page !== page) {
        pages.give(page);
        listed = undefined;
      }
      path.push(node);
    },
    unshare() {
      prefixes.release(held());
      const forFound = Math.max(0, foundEnd - gone);
      pages.unreserve(forFound);
      reserved -= forFound;
      path = [];
      own.splice(0, own.length, ...present(own));
      [gone, foundEnd] = [0, 0];
      listed = undefined;
    },
    slide(count, left) {
      listed = undefined;
      const dropped = present(own.splice(1, count));
      memory.moveBack(present(own.slice(1, left)), count * pageRows);
      own.push(...dropped);
      gone = Math.min(gone, Math.max(1, gone - count));
    },
    drop(count, exceptFirst) {
      for (; gone < count; gone++) {
        if (exceptFirst && gone === 0) continue;
        listed = undefined;
        const node = path[gone];
        if (node === undefined) {
          const page = own[gone - path.length];
          if (page == null) continue;
          pages.give(page);
          own[gone - path.length] = null;
        } else prefixes.release([node]);
        const isFound = gone < foundEnd;
        if (isFound) pages.unreserve(1);
        else pages.reserveAgain();
        reserved += isFound ? -1 : 1;
      }
    },
    close,
  };
  return { own: result, positions };
};
