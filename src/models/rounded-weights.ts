import type { Tensor } from "../autograd/tensor.ts";
import type { Storage } from "../backend/backend.ts";
import type { Model } from "./model.ts";

/** A model's matrices, rounded to what products are multiplied from: half the bytes to read, the same results to the bit. */
export interface RoundedWeights {
  /** In the arena's layout, the matrices alone: `layout.decayed` elements. */
  readonly storage: Storage;
  /** The rounded copy of a weight; itself, if it is not the model's. */
  of(weight: Tensor): Tensor;
  /** Rounds all anew. */
  refresh(): void;
  close(): void;
}

/** Memory for them, contents undefined until `refresh`; null where products are multiplied from the weights as they are. */
export const createRoundedWeights = ({ backend, layout, arena }: Model): RoundedWeights | null => {
  const { activations } = backend.capabilities;
  if (activations !== "bfloat16") return null;
  const { decayed: n } = layout;
  const storage = backend.alloc(activations, n);
  const from = { storage: arena.storage, offset: 0 };
  const to = { storage, offset: 0 };
  return {
    storage,
    of: (weight) => (weight.storage === arena.storage && weight.offset < n ? { ...weight, storage } : weight),
    refresh: () => backend.run("copyRows", { x: from, y: to, rows: 1, width: n, xStride: n, yStride: n }),
    close: () => backend.free(storage),
  };
};
