import type { Tensor } from "../autograd/tensor.ts";
import type { Backend, Storage } from "../backend/backend.ts";
import type { Arena, ArenaLayout } from "./arena.ts";

/**
 * Copies of a model's matrices, rounded to the number format of matrix products. Products with these copies read half
 * the bytes and give the same bits.
 */
export interface RoundedWeights {
  /** Copies in the arena's layout. Only matrices are copied: `layout.decayed` elements. */
  readonly storage: Storage;
  /** Returns the rounded copy of a weight of the model; returns any other tensor as it is. */
  of(weight: Tensor): Tensor;
  /** Rounds all matrices again. */
  refresh(): void;
  /** Call this after an update that has written both the weights and the rounded copies. */
  followed(): void;
}

/** Creates and updates the rounded copies of a model's weights. */
export interface WeightCopies {
  /**
   * Returns up-to-date copies, or null if products read the weights themselves. The first call allocates memory for the
   * copies.
   */
  current(): RoundedWeights | null;
  close(): void;
}

/** @param arena its `changes` show whether the copies are out of date. */
export const createWeightCopies = (backend: Backend, layout: ArenaLayout, arena: Arena): WeightCopies => {
  const { activations } = backend.capabilities;
  const { decayed: n } = layout;
  let copies: RoundedWeights | undefined;
  /** The arena's count of changes when the last copy was made. */
  let known = -1;

  const create = (): RoundedWeights => {
    const storage = backend.alloc(activations, n);
    const from = { storage: arena.storage, offset: 0 };
    const to = { storage, offset: 0 };
    const followed = (): void => {
      known = arena.changes.count;
    };
    return {
      storage,
      of: (weight) => (weight.storage === arena.storage && weight.offset < n ? { ...weight, storage } : weight),
      refresh() {
        backend.run("copyRows", { x: from, y: to, rows: 1, width: n, xStride: n, yStride: n });
        followed();
      },
      followed,
    };
  };

  return {
    current() {
      if (activations !== "bfloat16") return null;
      copies ??= create();
      if (known !== arena.changes.count) copies.refresh();
      return copies;
    },
    close() {
      if (copies !== undefined) backend.free(copies.storage);
      copies = undefined;
      known = -1;
    },
  };
};
