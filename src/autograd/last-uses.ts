import type { Tensor } from "./tensor.ts";

/**
 * Finds the last use of a leaf in a backward pass. After the last use, the gradient of the leaf is complete. The pass
 * may still compute other gradients.
 */
export interface LastUses {
  /** Starts to track the uses of `leaf`. @param onComplete called after the last use. */
  watch(leaf: Tensor, onComplete: () => void): void;
  /**
   * Registers a recorded entry with these inputs. Returns the watched leaves among the inputs. Give these leaves to
   * `used` later.
   */
  count(inputs: readonly Tensor[]): readonly Tensor[];
  /** Reports that the backward pass has processed an entry that uses `leaf`. */
  used(leaf: Tensor): void;
  /**
   * Registers an entry with unknown leaves. The leaves become known when the backward pass reaches the entry. Before
   * that, no use of a leaf counts as its last use.
   */
  addUnknown(): void;
  /** Reports that the backward pass has reached an entry with unknown leaves and has registered its leaves. */
  resolveUnknown(): void;
  /** @throws Error for a leaf that has already had its last use. */
  checkOpen(tensor: Tensor): void;
}

export const createLastUses = (): LastUses => {
  /** For each watched leaf, the number of entries that use it, and the callback. */
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
      if (complete.has(tensor)) throw new Error("a gradient changed after its last use: an op did not list an input");
    },
  };
};
