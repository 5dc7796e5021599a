/** The pages of one sequence: those that it shares, and those of its own that follow. */
import { pageRows } from "../backend/kernels/sizes.ts";
import type { Model } from "../models/model.ts";
import type { PageMemory } from "./page-memory.ts";
import type { Pages } from "./pages.ts";
import type { PrefixNode } from "./prefix-tree.ts";

/** What the sequences of an engine share. */
export interface SequenceRoom {
  readonly pages: Pages;
  readonly memory: PageMemory;
}

/** What is computed already of a sequence. */
export interface Computed {
  /** Whole pages. */
  readonly path: readonly PrefixNode[];
  /** How many of them, the first ones, come before its window, and may hold anything. Default 0. */
  readonly gone?: number;
  /** A page of which the first rows are copied; `node` null: it is in no tree. */
  readonly part: { readonly node: PrefixNode | null; readonly page: number; readonly rows: number } | null;
}

/** See the head of the file. */
export interface SequencePages {
  /** Whole pages that are shared, the first ones. */
  readonly shared: number;
  /** What another sequence can go on from, of `computed` positions. */
  computed(positions: number): Computed;
  /**
   * The first `count` pages; those that are not there are taken, and any number stands for those that were dropped. The same list
   * while they are the same.
   * @throws ConfigError if memory is short.
   */
  first(count: number): readonly number[];
  /** Makes the first page of its own known to others, with its tokens. */
  share(tokens: readonly number[]): void;
  /** Whether it has pages of its own. */
  readonly hasOwn: boolean;
  /** Gives up the shared ones: others will be taken in their place. */
  unshare(): void;
  /**
   * Drops `count` pages after the first, which become the last, and moves positions of the pages behind them to the front; `left` of
   * the pages are still in use. Nothing is shared.
   */
  slide(count: number, left: number): void;
  /**
   * Gives up the first `count` pages: they are not read any more. Of a sequence that was opened with `window`.
   * @param exceptFirst the first of all stays: it comes into the window again when the others slide. Nothing is shared.
   */
  drop(count: number, exceptFirst: boolean): void;
  /** Gives all pages back. */
  close(): void;
}

/** Less of what is computed, which takes fewer pages; null: there is no less. */
const lessOf = ({ path, gone = 0, part }: Computed, withoutAny: boolean): Computed | null => {
  // Without the part its window would begin earlier, perhaps in pages that are gone.
  if (part !== null && gone === 0) return { path, part: null };
  if (part !== null) return { path: [], part: null };
  return withoutAny && path.length > 0 ? { path: [], part: null } : null;
};

const present = (pages: readonly (number | null)[]): number[] => pages.filter((page) => page !== null);

/**
 * Pages for a sequence, if there will be `most` of them.
 * @param replaces whether pages that are shared now will be replaced by others.
 * @param window how many pages of its own it has at a time at most, since it drops others. null: all.
 * @returns the pages and the number of positions that are computed in them; null if there will not be so many.
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
  // With windows who has taken a page may give it up, and have another, while others still read it: so who reads it has room for it.
  let promised = window === null ? taken : Math.min(taken, window) + found.length;
  // Held, so that no page that it takes is one of these.
  const copied = part?.node == null ? [] : [part.node];
  prefixes.hold(found);
  prefixes.hold(copied);
  const isPromised = pages.promise(promised);
  if (!isPromised) {
    prefixes.release(copied);
    prefixes.release(found);
    // It may need the page that it would copy, or those that it would hold.
    const less = lessOf({ path: before, gone: goneBefore, part }, replaces || window !== null);
    return less === null ? null : openSequencePages({ pages, memory }, owner, less, most, replaces, window);
  }
  // Of the weights as they are now: what they compute is not what others find once they have changed.
  const tree = prefixes.current(owner);
  let path: PrefixNode[] = [...before];
  /** Of these and of its own, the first ones that were given up. */
  let gone = goneBefore;
  /** Of `path`, those before this one were found: there is a promise for each that is held. */
  let foundEnd = window === null ? 0 : before.length;
  /** null: given up. */
  const own: (number | null)[] = [];
  /** What `first` gave last; undefined: its pages are others now. */
  let listed: readonly number[] | undefined;
  const take = (): void => {
    own.push(pages.take());
    promised--;
  };
  const held = (): PrefixNode[] => path.slice(gone);
  const close = (): void => {
    for (const page of present(own.splice(0))) pages.give(page);
    pages.forgo(promised);
    promised = 0;
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
      const reserved = Math.max(0, foundEnd - gone);
      pages.forgo(reserved);
      promised -= reserved;
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
        if (isFound) pages.forgo(1);
        else pages.promiseAgain();
        promised += isFound ? -1 : 1;
      }
    },
    close,
  };
  return { own: result, positions };
};
