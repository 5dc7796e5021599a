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
   * The first `count` pages; those that are not there are taken. The same list while they are the same.
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
  /** Gives all pages back. */
  close(): void;
}

/**
 * Pages for a sequence, if there will be `most` of them.
 * @param replaces whether pages that are shared now will be replaced by others.
 * @returns the pages and the number of positions that are computed in them; null if there will not be so many.
 */
export const openSequencePages = (
  { pages, memory }: SequenceRoom,
  owner: Model,
  { path: before, part }: Computed,
  most: number,
  replaces: boolean,
): { readonly own: SequencePages; readonly positions: number } | null => {
  const { prefixes } = pages;
  let promised = Math.max(0, most - (replaces ? 0 : before.length));
  // Held, so that no page that it takes is one of these.
  const copied = part?.node == null ? [] : [part.node];
  prefixes.hold(before);
  prefixes.hold(copied);
  const isPromised = pages.promise(promised);
  if (!isPromised) {
    prefixes.release(copied);
    prefixes.release(before);
    // It may need the page that it would copy, or those that it would hold until it replaces them.
    const less = part !== null ? before : replaces && before.length > 0 ? [] : null;
    return less === null
      ? null
      : openSequencePages({ pages, memory }, owner, { path: less, part: null }, most, replaces);
  }
  // Of the weights as they are now: what they compute is not what others find once they have changed.
  const tree = prefixes.current(owner);
  let path: PrefixNode[] = [...before];
  const own: number[] = [];
  /** What `first` gave last; undefined: its pages are others now. */
  let listed: readonly number[] | undefined;
  const take = (): void => {
    own.push(pages.take());
    promised--;
  };
  const close = (): void => {
    for (const page of own.splice(0)) pages.give(page);
    pages.forgo(promised);
    promised = 0;
    prefixes.release(path);
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
      return { path: [...path], part: rows > 0 && page !== undefined ? { node: null, page, rows } : null };
    },
    first(count) {
      if (listed?.length === count) return listed;
      while (path.length + own.length < count) take();
      listed = [...path.map(({ page }) => page), ...own].slice(0, count);
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
      prefixes.release(path);
      path = [];
      listed = undefined;
    },
    slide(count, left) {
      listed = undefined;
      const dropped = own.splice(1, count);
      memory.moveBack(own.slice(1, left), count * pageRows);
      own.push(...dropped);
    },
    close,
  };
  return { own: result, positions };
};
