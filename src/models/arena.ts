import type { Tensor } from "../autograd/tensor.ts";
import type { Backend, Storage, View } from "../backend/backend.ts";
import { closeOnError } from "../core/errors/close-on-error.ts";
import { type RandomKey, randomKey, randomStream } from "../core/random.ts";
import { fromBfloat16, hostArray, type RealDType } from "../core/tensors/dtype.ts";
import { sizeOf } from "../core/tensors/shape.ts";
import type { Declare, Initialisation, ParameterSpec } from "../nn/parameters.ts";

/** Kernels run best from 64-byte boundaries: 16 float32, or 32 bfloat16 of a copy in the same layout. */
const alignment = 32;

/**
 * A parameter with its place in an arena.
 * @experimental
 */
export interface Placed extends ParameterSpec {
  /** In elements, from the arena's start. */
  readonly offset: number;
  /** Number of elements. */
  readonly size: number;
  /** Declaration order: the parameter's index in the random stream of initial weights. */
  readonly index: number;
}

/**
 * Where each parameter lies in one flat array. Values, gradients and an optimizer's running means are arrays of such a
 * layout, so clearing, clipping and updating are one call over all of them. Matrices come first: weight
 * decay applies to [0, decayed) only. Gaps between parameters stay zero.
 * @experimental
 */
export interface ArenaLayout {
  /** In the order of their declaration. */
  readonly parameters: readonly Placed[];
  /** Elements of the array, gaps included. */
  readonly length: number;
  /** End of the part that weight decay applies to: arrays of two or more axes (as nanoGPT and others do). */
  readonly decayed: number;
  /** Number of parameters, without gaps. */
  readonly count: number;
}

const align = (offset: number): number => Math.ceil(offset / alignment) * alignment;

type Unplaced = Omit<Placed, "offset">;

/** Lays out what `declareAll` declares. */
export const arenaLayout = (declareAll: (declare: Declare<ParameterSpec>) => void): ArenaLayout => {
  const specs: ParameterSpec[] = [];
  declareAll((spec) => {
    specs.push(spec);
    return spec;
  });
  return placeAll(specs.map((spec, index) => ({ ...spec, index, size: sizeOf(spec.shape) })));
};

/** The layout of some of the parameters alone, in the same order: for an array that not every parameter has a part in. */
export const partOfLayout = ({ parameters }: ArenaLayout, isPart: (parameter: Placed) => boolean): ArenaLayout =>
  placeAll(parameters.filter(isPart));

const placeAll = (indexed: readonly Unplaced[]): ArenaLayout => {
  const matrices = indexed.filter((spec) => spec.shape.length >= 2);
  const others = indexed.filter((spec) => spec.shape.length < 2);
  let end = 0;
  let length = 0;
  const place = (spec: Unplaced): Placed => {
    const offset = spec.adjoins === true ? end : length;
    end = offset + spec.size;
    length = align(end);
    return { ...spec, offset };
  };
  const placedMatrices = matrices.map(place);
  const decayed = length;
  const parameters = [...placedMatrices, ...others.map(place)].sort((a, b) => a.index - b.index);
  return { parameters, length, decayed, count: parameters.reduce((sum, { size }) => sum + size, 0) };
};

/**
 * A flat array in a backend with the arena's layout, and a tensor for each parameter in it.
 * @experimental
 */
export interface Arena {
  /** The flat array. */
  readonly storage: Storage;
  /** A tensor for each parameter, by name. */
  readonly tensors: ReadonlyMap<string, Tensor>;
  /** How often its elements were changed as a whole: copies of them are then old. */
  readonly changes: {
    /** The number of changes. */
    count: number;
  };
}

/** Allocates a zeroed array of this layout. The caller frees `storage`. */
export const createArena = (backend: Backend, layout: ArenaLayout, real: RealDType = "float32"): Arena => {
  const storage = backend.alloc(real, layout.length);
  backend.run("fill", { y: { storage, offset: 0 }, n: layout.length, value: 0 });
  const tensors = new Map(
    layout.parameters.map(({ name, shape, offset }): [string, Tensor] => [name, { storage, offset, shape }]),
  );
  return { storage, tensors, changes: { count: 0 } };
};

/**
 * The weights of a model that only computes, in two arrays: matrices in bfloat16, vectors in float32.
 * The layout's elements [0, decayed) are in the first array, the others in the second.
 */
export interface FrozenArena extends Arena {
  /**
   * Copies values in for the elements of the layout from `offset` on. Values of a matrix are rounded to nearest, ties to even;
   * 16-bit words are bfloat16.
   */
  write(values: Float32Array | Uint16Array, offset: number): void;
  /** Frees both arrays. */
  close(): void;
}

/** Numbers that are rounded at a time: they stay in the second cache. */
const roundedAtATime = 2 ** 17;

/** Copies values to bfloat16. The kernel rounds them several times faster than JavaScript. */
const writeRounded = (backend: Backend, values: Float32Array, { storage, offset }: View): void => {
  const given = backend.alloc("float32", roundedAtATime);
  try {
    for (let done = 0; done < values.length; done += roundedAtATime) {
      const part = values.subarray(done, done + roundedAtATime);
      backend.write(given, part);
      const [x, y] = [
        { storage: given, offset: 0 },
        { storage, offset: offset + done },
      ];
      const n = part.length;
      backend.run("copyRows", { x, y, rows: 1, width: n, xStride: n, yStride: n });
    }
  } finally {
    backend.free(given);
  }
};

/** Allocates the arrays of a frozen model, with undefined contents. The caller closes them. */
export const createFrozenArena = (backend: Backend, { parameters, length, decayed }: ArenaLayout): FrozenArena => {
  const storage = backend.alloc("bfloat16", decayed);
  const vectors = closeOnError(
    () => backend.free(storage),
    () => backend.alloc("float32", length - decayed),
  );
  const tensors = new Map(
    parameters.map(({ name, shape, offset }): [string, Tensor] => [
      name,
      offset < decayed ? { storage, offset, shape } : { storage: vectors, offset: offset - decayed, shape },
    ]),
  );
  return {
    storage,
    tensors,
    changes: { count: 0 },
    write(values, offset) {
      const split = Math.min(Math.max(decayed - offset, 0), values.length);
      const [matrices, rest] = [values.subarray(0, split), values.subarray(split)];
      // Of vectors alone the offset is behind the matrices.
      if (matrices.length > 0) {
        if (matrices instanceof Uint16Array) backend.write(storage, matrices, offset);
        else writeRounded(backend, matrices, { storage, offset });
      }
      if (rest.length === 0) return;
      backend.write(vectors, rest instanceof Uint16Array ? fromBfloat16(rest) : rest, offset + split - decayed);
    },
    close() {
      backend.free(storage);
      backend.free(vectors);
    },
  };
};

/** Copies `size` elements of an arena from `offset` on to the host; do not change it. */
export type ReadValues = (offset: number, size: number) => Promise<Float32Array>;

/** Reads an arena in a backend's memory, as it is when it is read. */
export const arenaReader =
  (backend: Backend, { storage }: Pick<Arena, "storage">): ReadValues =>
  async (offset, size) => {
    const values = await backend.read(storage, offset, size);
    return values instanceof Float32Array ? values : Float32Array.from(values);
  };

/** Reads an arena's values that are on the host. */
export const arrayReader =
  (values: Float32Array): ReadValues =>
  async (offset, size) =>
    values.subarray(offset, offset + size);

/** Elements that are drawn before they are written: the host holds no copy of all weights. */
const drawnAtATime = 2 ** 16;

/** Draws the elements of a parameter, one after the other. */
const drawOf = (init: Initialisation, key: RandomKey): (() => number) => {
  switch (init.kind) {
    case "zeros":
      return () => 0;
    case "ones":
      return () => 1;
    case "normal": {
      const random = randomStream(key);
      return () => init.std * random.normal();
    }
    case "uniform": {
      const random = randomStream(key);
      return () => init.bound * (2 * random.uniform() - 1);
    }
  }
};

/**
 * Draws the initial weights: parameter i from stream ("init", i) of the seed, so they do not depend on each other.
 * @param arena all zero, as `createArena` makes it.
 */
export const initialise = (backend: Backend, layout: ArenaLayout, arena: Arena, seed: number): void => {
  const { storage } = arena;
  arena.changes.count++;
  const drawn = hostArray(storage.dtype, Math.min(layout.length, drawnAtATime));
  for (const { init, index, offset, size } of layout.parameters) {
    if (init.kind === "zeros") continue;
    const draw = drawOf(init, randomKey(seed, "init", index));
    for (let done = 0; done < size; done += drawn.length) {
      const part = drawn.subarray(0, Math.min(drawn.length, size - done));
      for (let i = 0; i < part.length; i++) part[i] = draw();
      backend.write(storage, part, offset + done);
    }
  }
};
