import type { Tensor } from "../autograd/tensor.ts";
import type { Backend, Storage } from "../backend/backend.ts";
import { hostArray, type RealDType } from "../core/dtype.ts";
import { randomKey, randomStream } from "../core/random.ts";
import { sizeOf } from "../core/shape.ts";
import type { Declare, ParameterSpec } from "../nn/parameters.ts";

/** Kernels run best from 64-byte boundaries: 16 float32, or 32 bfloat16 of a copy in the same layout. */
const alignment = 32;

/** A parameter with its place in an arena. */
export interface Placed extends ParameterSpec {
  /** In elements, from the arena's start. */
  readonly offset: number;
  readonly size: number;
  /** Declaration order: the parameter's index in the random stream of initial weights. */
  readonly index: number;
}

/**
 * Where each parameter lies in one flat array. Values, gradients and an optimizer's running means are arrays of such a
 * layout, so clearing, clipping and updating are one call over all of them. Matrices come first: weight
 * decay applies to [0, decayed) only. Gaps between parameters stay zero.
 */
export interface ArenaLayout {
  readonly parameters: readonly Placed[];
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
  let length = 0;
  const place = (spec: Unplaced): Placed => {
    const offset = length;
    length = align(length + spec.size);
    return { ...spec, offset };
  };
  const placedMatrices = matrices.map(place);
  const decayed = length;
  const parameters = [...placedMatrices, ...others.map(place)].sort((a, b) => a.index - b.index);
  return { parameters, length, decayed, count: parameters.reduce((sum, { size }) => sum + size, 0) };
};

/** A flat array in a backend with the arena's layout, and a tensor for each parameter in it. */
export interface Arena {
  readonly storage: Storage;
  readonly tensors: ReadonlyMap<string, Tensor>;
  /** How often its elements were changed as a whole: copies of them are then old. */
  readonly changes: { count: number };
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
    const random = init.kind === "normal" ? randomStream(randomKey(seed, "init", index)) : undefined;
    for (let done = 0; done < size; done += drawn.length) {
      const part = drawn.subarray(0, Math.min(drawn.length, size - done));
      if (init.kind === "ones") part.fill(1);
      else if (random !== undefined) for (let i = 0; i < part.length; i++) part[i] = init.std * random.normal();
      backend.write(storage, part, offset + done);
    }
  }
};
