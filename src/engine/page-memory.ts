import { inferenceContext } from "../autograd/context.ts";
import { pageRows } from "../backend/kernels/sizes.ts";
import { allocateAll } from "../backend/memory/allocate-all.ts";
import { rotaryDimOf } from "../models/config.ts";
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
  /**
   * Moves the positions of pages `by` places to the front: their keys are turned back by the angles of as many positions, and rounded
   * again. Of a model with rotations.
   */
  moveBack(pages: readonly number[], by: number): void;
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
    moveBack(moved, by) {
      const { angles } = model.parameters;
      if (angles === null || config.position.kind !== "rope") throw new Error("a model without rotations");
      const { keyHeads, headDim } = headsOf(config);
      const context = inferenceContext(backend);
      const { memory } = context;
      const rotaryDim = rotaryDimOf(config, config.position);
      const sizes = { rows: pageRows, time: 1, heads: 0, keyHeads, headDim, rotaryDim, start: 0 };
      const places = memory.upload(new Int32Array(pageRows).fill(by), [pageRows]);
      // Without a norm the values before the rotation do not count.
      const x = memory.allocate([pageRows, width]);
      const rstd = memory.allocate([pageRows, keyHeads]);
      const turned = memory.allocate([pageRows, width], dtype);
      const none = { gammaQ: null, gammaK: null, dGammaQ: null, dGammaK: null };
      const tables = { cos: angles.cos, sin: angles.sin, tableRows: config.contextLength, places };
      for (const page of moved) {
        for (const { keysAndValues } of layers) {
          const at = { storage: keysAndValues.storage, offset: page * pageRows * width };
          // Its gradient is turned by the opposite angle.
          backend.run("rotaryBackward", { ...sizes, ...tables, ...none, dy: at, x, rstd, dx: turned });
          backend.run("copyRows", { x: turned, y: at, rows: pageRows, width, xStride: width, yStride: width });
        }
      }
      memory.close();
    },
    free() {
      for (const { keysAndValues } of layers) backend.free(keysAndValues.storage);
    },
  };
};
