import type { Tensor } from "../autograd/tensor.ts";
import type { Backend, Storage, View } from "../backend/backend.ts";
import { closeOnError } from "../core/errors/close-on-error.ts";
import { type RandomKey, randomKey, randomStream } from "../core/random.ts";
import { fromBfloat16, hostArray, type RealDType } from "../core/tensors/dtype.ts";
import { sizeOf } from "../core/tensors/shape.ts";
import type { Declare, Initialisation, ParameterSpec } from "../nn/parameters.ts";

/**
 * Offsets in an array are multiples of this number of elements. Kernels are faster at offsets that are multiples of 64
 * bytes. This number of bytes contains 16 float32 values, or 32 bfloat16 values in a copy with the same layout.
 */
const alignment = 32;

/**
 * A parameter, and the part of an arena that contains its values.
 * @experimental
 */
export interface Placed extends ParameterSpec {
  /** Offset from the start of the arena, in elements. */
  readonly offset: number;
  /** Number of elements. */
  readonly size: number;
  /** Index in the order of declaration. The index selects the random stream of the parameter's initial values. */
  readonly index: number;
}

/**
 * The offset of each parameter in one flat array. Weights, gradients and moments of the optimizer are arrays with such
 * a layout. One call can therefore clear, clip or update all parameters. Matrices come first, because weight decay
 * applies only to [0, decayed). Gaps between parameters stay zero.
 * @experimental
 */
export interface ArenaLayout {
  /** Parameters in declaration order. */
  readonly parameters: readonly Placed[];
  /** Length of the array in elements, including gaps. */
  readonly length: number;
  /**
   * End of the elements that get weight decay. These elements are the parameters with two or more axes, as in nanoGPT.
   */
  readonly decayed: number;
  /** Number of parameters, without gaps. */
  readonly count: number;
}

const align = (offset: number): number => Math.ceil(offset / alignment) * alignment;

type Unplaced = Omit<Placed, "offset">;

/** Lays out the parameters that `declareAll` declares. */
export const arenaLayout = (declareAll: (declare: Declare<ParameterSpec>) => void): ArenaLayout => {
  const specs: ParameterSpec[] = [];
  declareAll((spec) => {
    specs.push(spec);
    return spec;
  });
  return placeAll(specs.map((spec, index) => ({ ...spec, index, size: sizeOf(spec.shape) })));
};

/** Layout of a subset of the parameters, in the same order. */
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
 * A flat array in the memory of a backend, and a tensor for each parameter in this array. The layout gives the offsets.
 * @experimental
 */
export interface Arena {
  /** The flat array. */
  readonly storage: Storage;
  /** A tensor for each parameter, by name. */
  readonly tensors: ReadonlyMap<string, Tensor>;
  /** Counts changes of the array. A copy that was made before the last change is out of date. */
  readonly changes: {
    /** Number of changes so far. */
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
 * Weights of a model that is only for inference. The weights are in two arrays: matrices in bfloat16, vectors in
 * float32. The array of matrices contains elements [0, decayed) of the layout, and the array of vectors contains all
 * later elements.
 */
export interface FrozenArena extends Arena {
  /**
   * Copies values into the elements of the layout from `offset` on. Values of matrices are rounded to nearest even.
   * 16-bit words are bfloat16 already.
   */
  write(values: Float32Array | Uint16Array, offset: number): void;
  /** Frees both arrays. */
  close(): void;
}

/** Number of values that are rounded at a time. These values fit into the L2 cache. */
const roundedAtATime = 2 ** 17;

/** Copies values to bfloat16. The kernel rounds several times faster than JavaScript. */
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
      // If all values are vectors, the offset is after the matrices.
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

/** Copies `size` elements of an arena from `offset` on to the host. Do not change the result. */
export type ReadValues = (offset: number, size: number) => Promise<Float32Array>;

/** Reads an arena in a backend's memory. The result contains the values at the time of the read. */
export const arenaReader =
  (backend: Backend, { storage }: Pick<Arena, "storage">): ReadValues =>
  async (offset, size) => {
    const values = await backend.read(storage, offset, size);
    return values instanceof Float32Array ? values : Float32Array.from(values);
  };

/** Reads an arena with values on the host. */
export const arrayReader =
  (values: Float32Array): ReadValues =>
  async (offset, size) =>
    values.subarray(offset, offset + size);

/** Number of values that are drawn before they are written to the backend, so that the host never holds all weights. */
const drawnAtATime = 2 ** 16;

/** Draws the values of a parameter in order. */
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
 * Draws the initial weights. Parameter i uses the stream ("init", i) of the seed, so parameters do not affect each
 * other.
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
