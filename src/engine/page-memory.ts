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

/** Memory for keys and values in pages of `pageRows` positions, for each block of a model. */
export interface PageMemory {
  /** A cache per block; `grow` replaces their memory. */
  readonly layers: readonly AttentionCache[];
  /** Pages that there is memory for: their numbers are the multiples of `stride` from 0 on. */
  readonly pages: number;
  readonly stride: number;
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

/** Layers that share a storage at most. */
const mostTogether = 8;

/** As many layers of a storage as divide all of them evenly. */
const togetherOf = (nLayer: number): number => {
  let together = Math.min(nLayer, mostTogether);
  while (nLayer % together !== 0) together--;
  return together;
};

/**
 * The pages of some layers lie side by side in one storage: what a short text uses of it is in one place, where a storage for each layer
 * would take one of the system's large pages for each. Of some layers and not of all, since a storage that grows is there twice.
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
    ),
  ];
  /** Of the layer with this place among those of a storage that has memory for `count` pages. */
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
      // One storage after the other: only one of them is there twice at a time. After a failure those before it are larger than they
      // need be.
      for (const [i, before] of storages.entries()) {
        if (before.length >= wanted * stride * page) continue;
        const storage = backend.alloc(dtype, wanted * stride * page);
        const [x, y] = [before, storage].map((one) => ({ storage: one, offset: 0 })) as [View, View];
        backend.run("copyRows", { x, y, rows, width, xStride: width, yStride: width });
        backend.free(before);
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
      if (position.kind !== "rope") throw new Error("a model without rotations");
      const { keyHeads, headDim } = headsOf(config);
      const context = inferenceContext(backend);
      const { memory } = context;
      const rotaryDim = rotaryDimOf(config, position);
      const sizes = { rows: pageRows, time: 1, heads: 0, keyHeads, headDim, rotaryDim, start: 0, together: 0 };
      const places = memory.upload(new Int32Array(pageRows).fill(by), [pageRows]);
      // Without a norm the values before the rotation do not count.
      const x = memory.allocate([pageRows, width]);
      const rstd = memory.allocate([pageRows, keyHeads]);
      const turned = memory.allocate([pageRows, width], dtype);
      const none = { gammaQ: null, gammaK: null, dGammaQ: null, dGammaK: null };
      for (const [i, { keysAndValues }] of layers.entries()) {
        const angles = anglesFor(layerOf(config, i), model.parameters.angles);
        // Keys of a layer that is not rotated are the same at any place.
        if (angles === null) continue;
        const tables = { cos: angles.cos, sin: angles.sin, tableRows: config.contextLength, places };
        const { storage, offset } = keysAndValues;
        for (const number of moved) {
          const at = { storage, offset: offset + number * page };
          // Its gradient is turned by the opposite angle.
          backend.run("rotaryBackward", { ...sizes, ...tables, ...none, dy: at, x, rstd, dx: turned });
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
