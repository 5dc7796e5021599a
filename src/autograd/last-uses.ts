import type { Tensor } from "./tensor.ts";

/**
 * Finds the last use of leaves in a backward pass: after it a leaf's gradient is complete, while the pass still computes others.
 */
export interface LastUses {
  /** Looks for the last use of `leaf` from now on. @param onComplete called after it. */
  watch(leaf: Tensor, onComplete: () => void): void;
  /** An entry with these inputs is recorded. Returns the watched leaves among them, which are passed to `used` later. */
  count(inputs: readonly Tensor[]): readonly Tensor[];
  /** The backward pass has gone through an entry that uses `leaf`. */
  used(leaf: Tensor): void;
  /** An entry is recorded whose leaves are not known before the backward pass comes to it: no use is the last until then. */
  addUnknown(): void;
  /** The backward pass has come to such an entry, and its leaves have been counted. */
  resolveUnknown(): void;
  /** @throws Error for a leaf whose last use is over. */
  checkOpen(tensor: Tensor): void;
}

export const createLastUses = (): LastUses => {
  /** Watched leaves: entries that use them, and whom to tell. */
  const uses = new Map<Tensor, { count: number; readonly onComplete: () => void }>();
  const complete = new Set<Tensor>();
  let unknown = 0;
  return {
    watch(leaf, onComplete) {
      uses.set(leaf, { count: 0, onComplete });
    },
    count(inputs) {
      const counted = inputs.filter((input) => uses.has(input));
      for (const leaf of counted) {
        const use = uses.get(leaf);
        if (use !== undefined) use.count++;
      }
      return counted;
    },
    used(leaf) {
      const use = uses.get(leaf);
      if (use === undefined || --use.count > 0 || unknown > 0) return;
      uses.delete(leaf);
      complete.add(leaf);
      use.onComplete();
    },
    addUnknown() {
      unknown++;
    },
    resolveUnknown() {
      unknown--;
    },
    checkOpen(tensor) {
      if (complete.has(tensor)) throw new Error("a gradient was added to after its last use: an op left out an input");
    },
  };
};
