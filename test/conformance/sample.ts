import type { KernelName, KernelTable } from "#foretoken/backend/kernels/kernels.js";
import { randomKey, randomStream } from "#foretoken/core/random.js";

export type BufferName<K extends KernelName> = keyof KernelTable[K]["buffers"] & string;

/** A buffer inside the storage of another buffer. The part begins `at` elements after the start of that buffer. */
export interface Part<Name extends string> {
  readonly of: Name;
  readonly at: number;
}

/**
 * An "out" buffer in its own storage. The buffer has the length that the kernel needs. Before the call it is filled
 * with NaN, or with an invalid number if it contains integers.
 */
export const blank = "blank";

type SampleBuffer<Spec, Name extends string> =
  | (Spec extends { element: "index" | "bits" } ? Int32Array : Float64Array)
  | Part<Name>
  | (Spec extends { access: "out" } ? typeof blank : never)
  | (Spec extends { optional: true } ? null : never);

/**
 * One call of kernel K. Real numbers are stored in double precision but have float32 values, so all backends start from
 * the same numbers. An array may be longer than the kernel needs. The kernel must not change the additional elements.
 */
export interface Sample<K extends KernelName> {
  readonly name: string;
  readonly numbers: Readonly<Record<KernelTable[K]["ints"][number] | KernelTable[K]["floats"][number], number>>;
  readonly buffers: { readonly [N in BufferName<K>]: SampleBuffer<KernelTable[K]["buffers"][N], BufferName<K>> };
}

/** Samples of the kernels `Names`. A kernel without samples does not compile. */
export type Samples<Names extends KernelName> = { readonly [K in Names]: readonly Sample<K>[] };

/** Lengths near the vector widths and block sizes of the compiled kernels. */
export const edgeLengths = [1, 2, 3, 7, 15, 16, 17, 31, 32, 33, 63, 64, 65, 127, 128, 129] as const;

/** Random float32 values in double arrays. The values are the same in every execution. */
export interface Noise {
  normals(length: number, scale?: number, mean?: number): Float64Array;
  integers(length: number, bound: number): Int32Array;
}

// The number of values is prime, so no two rows of a matrix begin with the same value. The values are reused, because
// forty million new random numbers would take longer than most kernels.
const drawn = new Float64Array(65_521);
const pool = randomStream(randomKey(1, "init"));
for (let i = 0; i < drawn.length; i++) drawn[i] = pool.normal();

export const noise = (seed: number): Noise => {
  const stream = randomStream(randomKey(seed, "init"));
  let next = stream.integer(drawn.length);
  return {
    normals: (length, scale = 1, mean = 0) => {
      const values = new Float64Array(length);
      for (let i = 0; i < length; i++) {
        values[i] = Math.fround(mean + scale * (drawn[next] as number));
        next = next + 1 === drawn.length ? 0 : next + 1;
      }
      return values;
    },
    integers: (length, bound) => Int32Array.from({ length }, () => stream.integer(bound)),
  };
};

/** The array with every value rounded to float32. */
export const rounded = (values: ArrayLike<number>): Float64Array => Float64Array.from(values, Math.fround);

export const nans = (length: number): Float64Array => new Float64Array(length).fill(Number.NaN);

/** A copy with NaN at some places. */
export const spoiled = (values: Float64Array, ...places: number[]): Float64Array => {
  const copy = values.slice();
  for (const place of places) copy[place] = Number.NaN;
  return copy;
};
