import type { Backend, Storage, View } from "#foretoken/backend/backend.js";
import { asGiven, type HostArgs, roundedToBfloat16 } from "#foretoken/backend/implementations/reference/host-args.js";
import { openReference } from "#foretoken/backend/implementations/reference/reference.js";
import type { KernelArgs, KernelName } from "#foretoken/backend/kernels/kernels.js";
import { kernels } from "#foretoken/backend/kernels/kernels.js";
import { type BufferSpec, holdsIntegers } from "#foretoken/backend/kernels/signature.js";
import type { DType, HostArray, ProductDType, RealDType } from "#foretoken/core/tensors/dtype.js";
import { epsilon, fromBfloat16, toBfloat16 } from "#foretoken/core/tensors/dtype.js";
import type { Bounds, Tolerance } from "./bounds.ts";
import { layerBounds, simpleBounds } from "./bounds.ts";
import { blockBounds } from "./bounds-blocks.ts";
import { hiddenBounds } from "./bounds-hidden.ts";
import { rotaryBounds } from "./bounds-rotary.ts";
import { attentionBounds, lossBounds } from "./bounds-training.ts";
import type { ActivationDType } from "./candidates.ts";
import type { Sample } from "./sample.ts";

const bounds: Bounds<KernelName> = {
  ...simpleBounds,
  ...layerBounds,
  ...rotaryBounds,
  ...hiddenBounds,
  ...attentionBounds,
  ...lossBounds,
  ...blockBounds,
};

/**
 * Position of buffers in their storages. "aligned": each buffer begins at a cache line. "odd": each buffer begins at an
 * odd element, which differs between the buffers.
 */
export type Layout = "aligned" | "odd";
const guard = 16;
const wildIndex = 0x7fffffff;

type BufferGiven = Float64Array | Int32Array | { readonly of: string; readonly at: number } | "blank" | null;

/**
 * A storage of a call. NaN values surround the buffer, or the array that contains several buffers. A storage of indices
 * has invalid indices instead of NaN.
 */
interface Root {
  readonly name: string;
  /**
   * Whether the storage contains an activation. The number format of activations may differ from the other storages.
   */
  readonly activation: boolean;
  readonly lead: number;
  readonly contents: HostArray;
}

interface Place {
  readonly root: string;
  /** Number of elements before the buffer in the storage. */
  readonly offset: number;
  readonly length: number;
}

interface Plan {
  readonly roots: readonly Root[];
  readonly places: Readonly<Record<string, Place>>;
}

const lengthsOf = <K extends KernelName>(kernel: K, sample: Sample<K>): Readonly<Record<string, number>> =>
  (kernels[kernel].lengths as unknown as (sizes: Sample<K>["numbers"]) => Record<string, number>)(sample.numbers);

const storedBefore = {
  float32: new WeakMap<Float64Array, Float32Array>(),
  bfloat16: new WeakMap<Float64Array, Float32Array>(),
};

/** The values after rounding to the storage's number format. */
const stored = (values: Float64Array, dtype: ActivationDType): Float32Array => {
  const known = storedBefore[dtype].get(values);
  if (known !== undefined) return known;
  const singles = dtype === "float32" ? new Float32Array(values) : fromBfloat16(toBfloat16(values));
  storedBefore[dtype].set(values, singles);
  return singles;
};

const memories: ArrayBuffer[] = [];

/** Memory for the storage with this number. All calls reuse it, because new memory from the system is slow. */
const memoryFor = (root: number, bytes: number): ArrayBuffer => {
  const known = memories[root];
  if (known !== undefined && known.byteLength >= bytes) return known;
  const larger = new ArrayBuffer(bytes);
  memories[root] = larger;
  return larger;
};

/** The next plan overwrites these contents. */
const plan = <K extends KernelName>(
  kernel: K,
  sample: Sample<K>,
  layout: Layout,
  real: RealDType,
  activations: ActivationDType,
): Plan => {
  const specs = kernels[kernel].buffers as Readonly<Record<string, BufferSpec>>;
  const lengths = lengthsOf(kernel, sample);
  const given = Object.entries(sample.buffers as Readonly<Record<string, BufferGiven>>);
  const roots: Root[] = [];
  const places: Record<string, Place> = {};
  given.forEach(([name, buffer], index) => {
    if (buffer === null || (typeof buffer === "object" && "of" in buffer)) return;
    const length = lengths[name] as number;
    const activation = specs[name]?.element === "activation";
    const lead = guard + (layout === "aligned" ? 0 : 1 + ((2 * index) % 15));
    const end = lead + (buffer === "blank" ? length : buffer.length);
    const spec = specs[name];
    const integers = spec !== undefined && holdsIntegers(spec);
    const arrays = { int32: Int32Array, float32: Float32Array, float64: Float64Array } as const;
    const contents = new arrays[integers ? "int32" : real](memoryFor(index, 8 * (end + guard)), 0, end + guard);
    const outside = integers ? wildIndex : Number.NaN;
    contents.fill(outside, 0, buffer === "blank" ? end : lead);
    if (buffer !== "blank")
      contents.set(buffer instanceof Int32Array ? buffer : stored(buffer, activation ? activations : "float32"), lead);
    contents.fill(outside, end);
    roots.push({ name, activation, lead, contents });
    places[name] = { root: name, offset: lead, length };
  });
  for (const [name, buffer] of given) {
    if (buffer === null || typeof buffer !== "object" || !("of" in buffer)) continue;
    const root = places[buffer.of] as Place;
    places[name] = { root: buffer.of, offset: root.offset + buffer.at, length: lengths[name] as number };
  }
  return { roots, places };
};

type Contents = ReadonlyMap<string, HostArray>;

const bytesOf = (data: HostArray): Buffer => Buffer.from(data.buffer, data.byteOffset, data.byteLength);

const dtypeOf = (data: HostArray): DType =>
  data instanceof Int32Array ? "int32" : data instanceof Float64Array ? "float64" : "float32";

/**
 * Calls `use` with the contents of all storages after the call. The contents may be the backend's own memory, which is
 * freed after `use`.
 */
const run = async <K extends KernelName, T>(
  backend: Backend,
  kernel: K,
  sample: Sample<K>,
  { roots, places }: Plan,
  activations: ActivationDType,
  use: (after: Contents) => T | Promise<T>,
): Promise<T> => {
  const storages = new Map<string, Storage>();
  for (const { name, activation, contents } of roots) {
    const dtype = activation && activations === "bfloat16" ? activations : dtypeOf(contents);
    const storage = backend.alloc(dtype, contents.length);
    backend.write(storage, contents);
    storages.set(name, storage);
  }
  const views: Record<string, View | null> = {};
  for (const name of Object.keys(sample.buffers)) {
    const place = places[name];
    views[name] = place === undefined ? null : { storage: storages.get(place.root) as Storage, offset: place.offset };
  }
  backend.run(kernel, { ...sample.numbers, ...views } as unknown as KernelArgs<K, View>);
  const after = new Map<string, HostArray>();
  for (const [name, storage] of storages) {
    const seen = storage.dtype === "float32" ? backend.view?.(storage) : undefined;
    after.set(name, seen ?? (await backend.read(storage)));
  }
  const result = await use(after);
  for (const storage of storages.values()) backend.free(storage);
  return result;
};

const hostArgs = <K extends KernelName>(
  sample: Sample<K>,
  { places }: Plan,
  contents: Contents,
  dtype: ProductDType,
): HostArgs<K> => {
  const operand = dtype === "bfloat16" ? roundedToBfloat16 : asGiven;
  const args: Record<string, unknown> = { ...sample.numbers, operand };
  for (const name of Object.keys(sample.buffers)) {
    const place = places[name];
    args[name] =
      place === undefined
        ? null
        : (contents.get(place.root) as HostArray).subarray(place.offset, place.offset + place.length);
  }
  return args as unknown as HostArgs<K>;
};

/**
 * Expected contents of each storage that the kernel writes, and the tolerance of each element. A tolerance of 0 means
 * that the element must be exact.
 */
type Expected = ReadonlyMap<string, { readonly wanted: HostArray; readonly tolerances: Float64Array }>;

// Compiled kernels may flush values below float32's normal range to 0. Only factors of ordinary size multiply such a
// value, so the error stays small.
const underflow = 2 ** -120;

// Half a unit in the last place of bfloat16, plus a sixteenth of it. The addition is needed because the value before
// rounding is not exact.
const narrowError = (17 / 16) * (epsilon.bfloat16 / 2);

const exactReferences = {
  float32: openReference({ real: "float64", dtype: "float32" }),
  bfloat16: openReference({ real: "float64", dtype: "bfloat16" }),
};
const expectations = new Map<object, Map<string, Expected>>();

/**
 * Deletes the results that are stored for other backends. The results need hundreds of megabytes, which slow down every
 * program that this process starts.
 */
export const forgetExpectations = (): void => {
  expectations.clear();
  memories.length = 0;
};

/** Expected results in the aligned layout. The results are computed once for all backends. */
const expected = async <K extends KernelName>(
  kernel: K,
  sample: Sample<K>,
  dtype: ProductDType,
  activations: ActivationDType,
): Promise<Expected> => {
  const way = `${dtype} ${activations}`;
  const known = expectations.get(sample)?.get(way);
  if (known !== undefined) return known;
  const planned = plan(kernel, sample, "aligned", "float64", activations);
  const before = new Map<string, HostArray>(planned.roots.map(({ name, contents }) => [name, contents]));
  const contents = await run(await exactReferences[dtype], kernel, sample, planned, "float32", (after) => after);
  const result = new Map<string, { wanted: HostArray; tolerances: Float64Array }>();
  const specs = kernels[kernel].buffers as Readonly<Record<string, { access: string }>>;
  const allowed = bounds[kernel](hostArgs(sample, planned, before, dtype), hostArgs(sample, planned, contents, dtype));
  for (const [name, tolerance] of Object.entries<Tolerance>(allowed)) {
    const place = planned.places[name];
    if (place === undefined) continue;
    const wanted = contents.get(place.root) as HostArray;
    const known = result.get(place.root);
    const tolerances = known?.tolerances ?? new Float64Array(wanted.length);
    // All backends return float32. So the stored results are float32, too, and need half the memory.
    const kept = known?.wanted ?? (wanted instanceof Float64Array ? new Float32Array(wanted) : wanted);
    result.set(place.root, { wanted: kept, tolerances });
    const rounded = activations === "bfloat16" && planned.roots.find((root) => root.name === place.root)?.activation;
    for (let i = 0; i < place.length; i++) {
      const at = place.offset + i;
      const limit = tolerance(i);
      if (limit === 0 && !(rounded && specs[name]?.access === "out")) continue;
      const rounding = rounded ? narrowError * (Math.abs(wanted[at] as number) + limit) : 0;
      tolerances[at] = limit + rounding + underflow;
    }
  }
  const ways = expectations.get(sample) ?? new Map<string, Expected>();
  expectations.set(sample, ways.set(way, result));
  return result;
};

/**
 * For error messages: the buffer that contains an element of a storage, and the index of the element in this buffer.
 */
const locate = ({ places }: Plan, root: string, i: number): string => {
  for (const [name, place] of Object.entries(places)) {
    if (place.root === root && i >= place.offset && i < place.offset + place.length)
      return `${name}[${i - place.offset}]`;
  }
  const { offset } = places[root] as Place;
  return `outside of every buffer, at ${root}[${i - offset}]`;
};

interface Wrong {
  readonly index: number;
  readonly excess: number;
  readonly wanted: number;
  readonly limit: number;
}

/**
 * Compares the contents of a storage with `wanted`. In some layouts, `actual` has additional elements at the beginning.
 * These elements must equal the first element of `wanted`, which is outside of every buffer.
 */
const compare = (actual: HostArray, wanted: HostArray, tolerances?: Float64Array): { wrong: number; worst: Wrong } => {
  const more = actual.length - wanted.length;
  const single = actual instanceof Float32Array;
  let wrong = 0;
  let worst: Wrong = { index: -1, excess: 1, wanted: 0, limit: 0 };
  for (let i = 0; i < actual.length; i++) {
    const a = actual[i] as number;
    const exact = wanted[i < more ? 0 : i - more] as number;
    const w = single ? Math.fround(exact) : exact;
    if (a === w || (Number.isNaN(a) && Number.isNaN(w))) continue;
    const limit = tolerances?.[i - more] ?? 0;
    const ratio = Math.abs(a - w) / limit;
    const excess = Number.isNaN(ratio) ? Number.POSITIVE_INFINITY : ratio;
    if (excess <= 1) continue;
    wrong++;
    if (excess > worst.excess) worst = { index: i, excess, wanted: exact, limit };
  }
  return { wrong, worst };
};

/**
 * Whether `compare` would find no error. This check is fast, because it supports only the most common pair of element
 * types.
 */
const agrees = (actual: Float32Array, wanted: Float32Array, tolerances: Float64Array): boolean => {
  const more = actual.length - wanted.length;
  for (let i = 0; i < more; i++) if (!Number.isNaN(actual[i])) return false;
  for (let i = 0; i < wanted.length; i++) {
    const a = actual[i + more] as number;
    const w = wanted[i] as number;
    if (a !== w && !(Math.abs(a - w) <= (tolerances[i] as number)) && !(Number.isNaN(a) && Number.isNaN(w)))
      return false;
  }
  return true;
};

/** Result of a sample on one backend. */
export interface Agreement {
  /** Error in the results. Undefined if the results are right. */
  readonly fault: string | undefined;
  /** Whether the other backends write the same bytes into all storages. */
  readonly sameBits: boolean;
}

/**
 * Executes the sample on the backend, with activations of type `activations`. Compares every element of every storage
 * with the reference backend in double precision. The reference is opened with the backend's dtype. Outputs must be
 * within their tolerance. All other elements must be unchanged: inputs, gaps between rows, and the guard values around
 * each buffer. Then each backend of `others` executes the same call, and must give the same bits.
 */
export const agreement = async <K extends KernelName>(
  backend: Backend,
  kernel: K,
  sample: Sample<K>,
  layout: Layout,
  activations: ActivationDType = "float32",
  others: readonly Backend[] = [],
): Promise<Agreement> => {
  const results = await expected(kernel, sample, backend.capabilities.dtype, activations);
  const planned = plan(kernel, sample, layout, "float32", activations);
  return run(backend, kernel, sample, planned, activations, async (actual) => {
    const isSame = (data: HostArray, name: string): boolean =>
      bytesOf(data).equals(bytesOf(actual.get(name) as HostArray));
    let sameBits = true;
    for (const other of others) {
      sameBits &&= await run(other, kernel, sample, planned, activations, (after) =>
        [...after].every(([name, data]) => isSame(data, name)),
      );
    }
    for (const { name, contents: given } of planned.roots) {
      const got = actual.get(name) as HostArray;
      const result = results.get(name);
      if (result === undefined && bytesOf(got).equals(bytesOf(given))) continue;
      if (result !== undefined && got instanceof Float32Array && result.wanted instanceof Float32Array)
        if (agrees(got, result.wanted, result.tolerances)) continue;
      const { wrong, worst } = compare(got, result?.wanted ?? given, result?.tolerances);
      if (wrong === 0) continue;
      const fault =
        `${kernel} (${sample.name}; ${layout} offsets): ${wrong} of ${got.length} elements of ${name} are wrong; ` +
        `worst ${locate(planned, name, worst.index)}: expected ${worst.wanted} ± ${worst.limit}, got ${got[worst.index]}`;
      return { fault, sameBits };
    }
    return { fault: undefined, sameBits };
  });
};
