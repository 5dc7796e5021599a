/**
 * Which pages hold the keys and values of which beginnings of texts. A node is a page: its tokens follow those of its parent, up
 * to the root, whose page would be the empty text. Whoever uses a page holds its node, and with it all nodes above; pages that
 * nobody holds are kept until memory is wanted, the one that was used longest ago goes first. A text with a window lets go of nodes
 * above those that it holds: where such a node goes, those below are found no more.
 */
import { pageRows } from "../backend/kernels/sizes.ts";

/** A page of a beginning. */
export interface PrefixNode {
  readonly tree: Tree;
  readonly parent: PrefixNode | null;
  /** At most `pageRows`; fewer only in a leaf. */
  readonly tokens: readonly number[];
  readonly page: number;
}

/** The nodes of one model with its weights as they are: what others computed is not theirs. */
export interface Tree {
  /** Those without a parent, and of each node its children, by their first tokens. */
  readonly children: Map<PrefixNode | null, Map<number, PrefixNode[]>>;
  /** Whether new sequences may find something in it. */
  current: boolean;
}

/** What is there of a beginning. */
export interface PrefixMatch {
  /** Whole pages, in order. */
  readonly path: readonly PrefixNode[];
  /** A page that agrees with what comes then in its first `rows` tokens. */
  readonly part: { readonly node: PrefixNode; readonly rows: number } | null;
}

/** Trees of several models, over the pages of one memory. */
export interface PrefixTree {
  /** Pages that nobody holds. */
  readonly idle: number;
  /** The tree of an owner with its weights as they are now. */
  current(owner: object): Tree;
  /** The longest beginning of `ids` that is there, of at most `most` tokens. Nothing is held by it. */
  find(owner: object, ids: readonly number[], most: number): PrefixMatch;
  /** Holds the nodes of a path, once more each. */
  hold(path: readonly PrefixNode[]): void;
  /** Lets go of them. Pages that are of no use any more are told to `free`. */
  release(path: readonly PrefixNode[]): void;
  /** Notes that nodes were used just now which are not held any more: those of them that are still there go after others. */
  touch(path: readonly PrefixNode[]): void;
  /**
   * Makes a page known, whose tokens follow those of `parent`, and holds it.
   * @param tree where it was computed.
   * @returns its node: an earlier one of the same tokens, if there is one, whose page is then the one to use.
   */
  add(tree: Tree, parent: PrefixNode | null, tokens: readonly number[], page: number): PrefixNode;
  /** Takes the page that was used longest ago out of the tree, of those that nobody holds. */
  takeOldest(): number | undefined;
  /** Forgets all of an owner: its weights are others now. */
  forget(owner: object): void;
}

const commonLength = (a: readonly number[], b: readonly number[], from: number, most: number): number => {
  let count = 0;
  while (count < most && a[count] === b[from + count]) count++;
  return count;
};

/** @param free is told each page that is of no use any more. */
export const createPrefixTree = (free: (page: number) => void): PrefixTree => {
  const trees = new Map<object, Tree>();
  const holders = new Map<PrefixNode, number>();
  // In the order of their last use. A node is let go of after its children, or touched then, so it comes after them.
  const idle = new Set<PrefixNode>();

  const treeOf = (owner: object): Tree => {
    const known = trees.get(owner);
    if (known !== undefined) return known;
    const tree: Tree = { children: new Map(), current: true };
    trees.set(owner, tree);
    return tree;
  };
  const siblingsOf = ({ children }: Tree, parent: PrefixNode | null, first: number): readonly PrefixNode[] =>
    children.get(parent)?.get(first) ?? [];

  const takeOut = (node: PrefixNode): void => {
    const { tree, parent, tokens } = node;
    const byFirst = tree.children.get(parent);
    const first = tokens[0] as number;
    const left = (byFirst?.get(first) ?? []).filter((one) => one !== node);
    if (left.length > 0) byFirst?.set(first, left);
    else byFirst?.delete(first);
    if (byFirst?.size === 0) tree.children.delete(parent);
    idle.delete(node);
    holders.delete(node);
  };

  /** The child that agrees in the most tokens, and in how many. */
  const closest = (tree: Tree, parent: PrefixNode | null, ids: readonly number[], from: number, most: number) => {
    let best: { readonly node: PrefixNode; readonly rows: number } | null = null;
    for (const node of siblingsOf(tree, parent, ids[from] as number)) {
      const rows = commonLength(node.tokens, ids, from, Math.min(most, node.tokens.length));
      if (rows > (best?.rows ?? 0)) best = { node, rows };
    }
    return best;
  };

  const hold = (path: readonly PrefixNode[]): void => {
    for (const node of path) {
      holders.set(node, (holders.get(node) ?? 0) + 1);
      idle.delete(node);
    }
  };

  return {
    get idle() {
      return idle.size;
    },
    current: treeOf,
    find(owner, ids, most) {
      const tree = treeOf(owner);
      const path: PrefixNode[] = [];
      let from = 0;
      while (from < most) {
        const best = closest(tree, path.at(-1) ?? null, ids, from, most - from);
        if (best === null) return { path, part: null };
        if (best.rows < pageRows) return { path, part: best };
        path.push(best.node);
        from += pageRows;
      }
      return { path, part: null };
    },
    hold,
    release(path) {
      for (const node of path.toReversed()) {
        const left = (holders.get(node) ?? 0) - 1;
        if (left > 0) holders.set(node, left);
        else if (node.tree.current) {
          holders.delete(node);
          idle.add(node);
        } else {
          takeOut(node);
          free(node.page);
        }
      }
    },
    touch(path) {
      for (const node of path.toReversed()) if (idle.delete(node)) idle.add(node);
    },
    add(given, parent, tokens, page) {
      // What goes on from pages that were forgotten is forgotten with them.
      const tree = parent?.tree ?? given;
      const first = tokens[0] as number;
      const siblings = siblingsOf(tree, parent, first);
      const same = siblings.find(
        (one) =>
          one.tokens.length === tokens.length && commonLength(one.tokens, tokens, 0, tokens.length) === tokens.length,
      );
      const node = same ?? { tree, parent, tokens, page };
      if (same === undefined) {
        const byFirst = tree.children.get(parent) ?? new Map<number, PrefixNode[]>();
        tree.children.set(parent, byFirst.set(first, [...siblings, node]));
      }
      hold([node]);
      return node;
    },
    takeOldest() {
      for (const node of idle) {
        takeOut(node);
        return node.page;
      }
      return undefined;
    },
    forget(owner) {
      const tree = trees.get(owner);
      if (tree === undefined) return;
      tree.current = false;
      trees.delete(owner);
      for (const node of [...idle]) {
        if (node.tree !== tree) continue;
        takeOut(node);
        free(node.page);
      }
    },
  };
};
