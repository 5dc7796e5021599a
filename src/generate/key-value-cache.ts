import { allocateAll } from "../backend/memory/allocate-all.ts";
import type { Model } from "../models/model.ts";
import { headsOf } from "../nn/causal-self-attention.ts";
import type { AttentionCache } from "../ops/causal-attention.ts";

/** Keys and values of earlier positions, for each block of a model. */
export interface KeyValueCache {
  /** A cache per block; `reserve` may replace its memory. */
  readonly layers: readonly AttentionCache[];
  /**
   * Makes room for `positions`, at most the context length, and keeps what is there.
   * @returns whether the caches have other memory than before.
   * @throws ConfigError if memory is short; the caches hold what they held.
   */
  reserve(positions: number): boolean;
  free(): void;
}

/** Positions that a cache begins with. Its memory then doubles: a context of 131,072 costs what is used of it. */
const firstPositions = 2048;

/** Caches with room for a part of the context at first, and for all of it when it is needed. */
export const createKeyValueCache = ({ backend, config }: Model): KeyValueCache => {
  const { contextLength, nLayer } = config;
  const { keyHeads, headDim } = headsOf(config);
  const width = 2 * keyHeads * headDim;
  const dtype = backend.capabilities.activations;
  let capacity = Math.min(contextLength, firstPositions);
  const first = allocateAll(
    backend,
    dtype,
    Array.from({ length: nLayer }, () => capacity * width),
  );
  const layers = first.map(
    (storage): AttentionCache => ({ keysAndValues: { storage, offset: 0, shape: [capacity, width] } }),
  );
  return {
    layers,
    reserve(positions) {
      if (positions <= capacity) return false;
      let next = capacity;
      while (next < positions) next *= 2;
      next = Math.min(next, contextLength);
      // Layer by layer: only one of them is there twice at a time.
      for (const [i, { keysAndValues }] of layers.entries()) {
        if (keysAndValues.shape[0] === next) continue;
        const storage = backend.alloc(dtype, next * width);
        backend.run("copyRows", {
          ...{ x: keysAndValues, y: { storage, offset: 0 } },
          ...{ rows: capacity, width, xStride: width, yStride: width },
        });
        backend.free(keysAndValues.storage);
        layers[i] = { keysAndValues: { storage, offset: 0, shape: [next, width] } };
      }
      capacity = next;
      return true;
    },
    free() {
      for (const { keysAndValues } of layers) backend.free(keysAndValues.storage);
    },
  };
};
