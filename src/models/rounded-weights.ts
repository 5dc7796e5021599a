import type { Tensor } from "../autograd/tensor.ts";
import type { Backend, Storage } from "../backend/backend.ts";
import type { Arena, ArenaLayout } from "./arena.ts";

/** A model's matrices, rounded to what products are multiplied from: half the bytes to read, the same results to the bit. */
export interface RoundedWeights {
  /** In the arena's layout, the matrices alone: `layout.decayed` elements. */
  readonly storage: Storage;
  /** The rounded copy of a weight; itself, if it is not the model's. */
  of(weight: Tensor): Tensor;
  /** Rounds all anew. */
  refresh(): void;
  /** To be called where an update has written both, the weights and their copies. */
  followed(): void;
}

/** The rounded copies that a model has of its weights. */
export interface WeightCopies {
  /** As the weights are now; null where products are multiplied from the weights themselves. Memory is taken at the first use. */
  current(): RoundedWeights | null;
  close(): void;
}

/** @param arena whose `changes` tell when the copies are of old weights. */
export const createWeightCopies = (backend: Backend, layout: ArenaLayout, arena: Arena): WeightCopies => {
  const { activations } = backend.capabilities;
  const { decayed: n } = layout;
  let copies: RoundedWeights | undefined;
  /** The number of changes that the copies know of. */
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
