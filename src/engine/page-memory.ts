import { inferenceContext } from "../autograd/context.ts";
import type { Storage, View } from "../backend/backend.ts";
import { pageRows } from "../backend/kernels/sizes.ts";
import { allocateAll } from "../backend/memory/allocate-all.ts";
import { rotaryDimOf } from "../models/config.ts";
import { layerOf } from "../models/layers.ts";
import type { Model } from "../models/model.ts";
import { headsOf } from "../nn/causal-self-attention.ts";
import { anglesFor } from "../nn/layer-spec.ts";
import type { AttentionCache } from "../ops/causal-attention.ts";

/** Memory of a KV cache for all blocks of a model, in pages of `pageRows` positions. */
export interface PageMemory {
  /** One cache for each block. `grow` replaces its memory. */
  readonly layers: readonly AttentionCache[];
  /** Number of allocated pages. The page numbers are 0, `stride`, 2 · `stride`, and so on. */
  readonly pages: number;
  readonly stride: number;
  /**
   * Grows to `pages` pages and keeps the contents.
   * @throws ConfigError if there is not enough memory. The caches keep their contents.
   */
  grow(pages: number): void;
  /** Copies the first `rows` positions of page `from` to page `to`. */
  copy(from: number, to: number, rows: number): void;
  /**
   * Moves the positions of pages forward by `by`. The keys are rotated back by the angle of `by` positions and rounded
   * again. Only for models with rotary position embeddings.
   */
  moveBack(pages: readonly number[], by: number): void;
  free(): void;
}

/** Number of elements of a key and a value, for one position in one block. */
const widthOf = ({ config }: Model): number => {
  const { keyHeads, headDim } = headsOf(config);
  return 2 * keyHeads * headDim;
};

/** Bytes of a page, as a sum over all blocks. */
export const pageBytes = (model: Model): number => {
  const bytes = { bfloat16: 2, float32: 4, float64: 8 }[model.backend.capabilities.activations];
  return model.config.nLayer * pageRows * widthOf(model) * bytes;
};

/** Maximum number of layers that share a storage. */
const mostTogether = 8;

/** Number of layers in each storage: the largest divisor of `nLayer` that is at most `mostTogether`. */
const togetherOf = (nLayer: number): number => {
  let together = Math.min(nLayer, mostTogether);
  while (nLayer % together !== 0) together--;
  return together;
};

/**
 * One storage contains the pages of several layers side by side. So a short text uses contiguous memory. With a storage
 * for each layer, each layer would need a large page of the operating system. A single storage for all layers would
 * need too much memory while it grows, because it then exists twice.
 */
export const createPageMemory = (model: Model, first: number): PageMemory => {
  const { backend, config } = model;
  const width = widthOf(model);
  const page = pageRows * width;
  const dtype = backend.capabilities.activations;
  const stride = togetherOf(config.nLayer);
  let pages = first;
  const storages: Storage[] = [
    ...allocateAll(
      backend,
      dtype,
      Array.from({ length: config.nLayer / stride }, () => pages * stride * page),
      true,
    ),
  ];
  /** The cache of the layer at index `place` of a storage with `count` pages. */
  const cacheIn = (storage: Storage, place: number, count: number): AttentionCache => ({
    keysAndValues: { storage, offset: place * page, shape: [((count - 1) * stride + 1) * pageRows, width] },
  });
  const layers = storages.flatMap((storage) =>
    Array.from({ length: stride }, (_, place) => cacheIn(storage, place, pages)),
  );
  return {
    layers,
    stride,
    get pages() {
      return pages;
    },
    grow(wanted) {
      const rows = pages * stride * pageRows;
      // Storages grow one after another, so only one of them exists twice at a time. If a storage cannot grow, the
      // earlier storages are larger than necessary.
      for (const [i, before] of storages.entries()) {
        if (before.length >= wanted * stride * page) continue;
        const storage = backend.alloc(dtype, wanted * stride * page, true);
        const [x, y] = [before, storage].map((one) => ({ storage: one, offset: 0 })) as [View, View];
        backend.run("copyRows", { x, y, rows, width, xStride: width, yStride: width });
        // The cache only grows, so no later storage has the size of this one.
        backend.free(before, false);
        storages[i] = storage;
        for (let place = 0; place < stride; place++) layers[i * stride + place] = cacheIn(storage, place, wanted);
      }
      pages = wanted;
    },
    copy(from, to, rows) {
      for (const { keysAndValues } of layers) {
        const { storage, offset } = keysAndValues;
        const at = (number: number) => ({ storage, offset: offset + number * page });
        backend.run("copyRows", { x: at(from), y: at(to), rows, width, xStride: width, yStride: width });
      }
    },
    moveBack(moved, by) {
      const { position } = config;
      if (position.kind !== "rope") throw new Error("moveBack needs a model with rotary position embeddings");
      const { keyHeads, headDim } = headsOf(config);
      const context = inferenceContext(backend);
      const { memory } = context;
      const rotaryDim = rotaryDimOf(config, position);
      const sizes = { rows: pageRows, time: 1, heads: 0, keyHeads, headDim, rotaryDim, start: 0, together: 0 };
      const places = memory.upload(new Int32Array(pageRows).fill(by), [pageRows]);
      // The kernel reads `rstd` only for a norm. This call has no norm, so its contents do not matter.
      const rstd = memory.allocate([pageRows, keyHeads]);
      const turned = memory.allocate([pageRows, width], dtype);
      const none = { x: null, gammaQ: null, gammaK: null, dGammaQ: null, dGammaK: null };
      for (const [i, { keysAndValues }] of layers.entries()) {
        const angles = anglesFor(layerOf(config, i), model.parameters.angles);
        // In a layer without rotary position embeddings, keys do not depend on their position.
        if (angles === null) continue;
        const tables = { cos: angles.cos, sin: angles.sin, tableRows: config.contextLength, places };
        const { storage, offset } = keysAndValues;
        for (const number of moved) {
          const at = { storage, offset: offset + number * page };
          // The backward kernel rotates by the opposite angle.
          backend.run("rotaryBackward", { ...sizes, ...tables, ...none, dy: at, rstd, dx: turned });
          backend.run("copyRows", { x: turned, y: at, rows: pageRows, width, xStride: width, yStride: width });
        }
      }
      memory.close();
    },
    free() {
      for (const storage of storages) backend.free(storage);
    },
  };
};
