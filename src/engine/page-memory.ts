import { pageRows } from "../backend/kernels/sizes.ts";
import { allocateAll } from "../backend/memory/allocate-all.ts";
import type { Model } from "../models/model.ts";
import { headsOf } from "../nn/causal-self-attention.ts";
import type { AttentionCache } from "../ops/causal-attention.ts";

/** Memory for keys and values in pages of `pageRows` positions, for each block of a model. */
export interface PageMemory {
  /** A cache per block; `grow` replaces their memory. */
  readonly layers: readonly AttentionCache[];
  /** Pages that there is memory for. */
  readonly pages: number;
  /**
   * Makes room for `pages` and keeps what is there.
   * @throws ConfigError if memory is short; the caches hold what they held.
   */
  grow(pages: number): void;
  /** Copies the first `rows` positions of a page to another. */
  copy(from: number, to: number, rows: number): void;
  free(): void;
}

/** Elements of a position in one block: its key and its value. */
const widthOf = ({ config }: Model): number => {
  const { keyHeads, headDim } = headsOf(config);
  return 2 * keyHeads * headDim;
};

/** Bytes of a page in all blocks. */
export const pageBytes = (model: Model): number => {
  const bytes = { bfloat16: 2, float32: 4, float64: 8 }[model.backend.capabilities.activations];
  return model.config.nLayer * pageRows * widthOf(model) * bytes;
};

export const createPageMemory = (model: Model, first: number): PageMemory => {
  const { backend, config } = model;
  const width = widthOf(model);
  const dtype = backend.capabilities.activations;
  let pages = first;
  const storages = allocateAll(
    backend,
    dtype,
    Array.from({ length: config.nLayer }, () => pages * pageRows * width),
  );
  const layers = storages.map(
    (storage): AttentionCache => ({ keysAndValues: { storage, offset: 0, shape: [pages * pageRows, width] } }),
  );
  return {
    layers,
    get pages() {
      return pages;
    },
    grow(wanted) {
      const rows = wanted * pageRows;
      const kept = pages * pageRows;
      // Layer by layer: only one of them is there twice at a time. After a failure the ones before it are larger than they need be.
      for (const [i, { keysAndValues }] of layers.entries()) {
        if ((keysAndValues.shape[0] as number) >= rows) continue;
        const storage = backend.alloc(dtype, rows * width);
        const y = { storage, offset: 0 };
        backend.run("copyRows", { x: keysAndValues, y, rows: kept, width, xStride: width, yStride: width });
        backend.free(keysAndValues.storage);
        layers[i] = { keysAndValues: { storage, offset: 0, shape: [rows, width] } };
      }
      pages = wanted;
    },
    copy(from, to, rows) {
      for (const { keysAndValues } of layers) {
        const at = (page: number) => ({ storage: keysAndValues.storage, offset: page * pageRows * width });
        backend.run("copyRows", { x: at(from), y: at(to), rows, width, xStride: width, yStride: width });
      }
    },
    free() {
      for (const { keysAndValues } of layers) backend.free(keysAndValues.storage);
    },
  };
};
