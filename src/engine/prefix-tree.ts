/**
 * A prefix tree of texts, for finding the pages with the keys and values of a prefix. A node is a page. The tokens of a
 * node follow the tokens of its parent. The root represents the empty text. A sequence that uses a page has a reference
 * to the page's node and to all nodes above it. Pages without references are kept until memory is needed; the least
 * recently used page is removed first. A sequence with an attention window may release a node and keep references to
 * nodes below it. If the released node is removed, the nodes below it can no longer be found.
 */
import { pageRows } from "../backend/kernels/sizes.ts";

/** A page of a prefix. */
export interface PrefixNode {
  readonly tree: Tree;
  readonly parent: PrefixNode | null;
  /** At most `pageRows` tokens. Only a leaf has fewer. */
  readonly tokens: readonly number[];
  readonly page: number;
}

/**
 * The nodes of one model with its current weights. Every model has its own tree. After a change of the weights, the
 * model gets a new tree.
 */
export interface Tree {
  /** Children of each node, by the child's first token. The key null contains the nodes without a parent. */
  readonly children: Map<PrefixNode | null, Map<number, PrefixNode[]>>;
  /** Whether new sequences may use the tree's pages. The value becomes false when the weights change. */
  current: boolean;
}

/** The part of a text that is in the KV cache. */
export interface PrefixMatch {
  /** Nodes of whole pages, in order. */
  readonly path: readonly PrefixNode[];
  /** A page after `path`. The first `rows` tokens of the page match the text. */
  readonly part: { readonly node: PrefixNode; readonly rows: number } | null;
}

/** Trees of several models that share one memory. */
export interface PrefixTree {
  /** Number of pages without references from sequences. */
  readonly idle: number;
  /** The tree of an owner (a model) for the owner's current weights. */
  current(owner: object): Tree;
  /**
   * Finds the longest prefix of `ids` that is in the KV cache and has at most `most` tokens. The search does not add
   * references to the nodes.
   */
  find(owner: object, ids: readonly number[], most: number): PrefixMatch;
  /** Adds a reference to each node of a path. A node may have several references. */
  hold(path: readonly PrefixNode[]): void;
  /** Removes a reference from each node. Pages that can never be used again are passed to `free`. */
  release(path: readonly PrefixNode[]): void;
  /** Marks nodes without references as just used. Other pages are then removed first. */
  touch(path: readonly PrefixNode[]): void;
  /**
   * Adds a page after `parent`, and adds a reference to the page's node.
   * @param tree the tree of the model that computed the page.
   * @returns the node. If a node with the same tokens exists, this node is returned, and the caller must use its page.
   */
  add(tree: Tree, parent: PrefixNode | null, tokens: readonly number[], page: number): PrefixNode;
  /** Removes the least recently used page without references, and returns it. */
  takeOldest(): number | undefined;
  /** Drops the tree of an owner, because its weights have changed. */
  forget(owner: object): void;
}

const commonLength = (a: readonly number[], b: readonly number[], from: number, most: number): number => {
  let count = 0;
  while (count < most && a[count] === b[from + count]) count++;
  return count;
};

/** @param free called with each page that can never be used again. */
export const createPrefixTree = (free: (page: number) => void): PrefixTree => {
  const trees = new Map<object, Tree>();
  const holders = new Map<PrefixNode, number>();
  // Nodes in the order of their last use. Children are released or touched before their parent. So a node comes after
  // its children.
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

  /** The child with the most matching tokens, and the number of matching tokens. */
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
      // If the parent's tree was dropped, the new page also belongs to the dropped tree.
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
