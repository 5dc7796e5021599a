import type { Backend, Storage, View } from "#foretoken/backend/backend.js";
import type { KernelArgs, KernelName } from "#foretoken/backend/kernels.js";
import { kernels } from "#foretoken/backend/kernels.js";
import { asGiven, type HostArgs, roundedToBfloat16 } from "#foretoken/backend/reference/host-args.js";
import { openReference } from "#foretoken/backend/reference/reference.js";
import { epsilon, fromBfloat16, type HostArray, type ProductDType, toBfloat16 } from "#foretoken/core/dtype.js";
import type { Bounds, Tolerance } from "./bounds.ts";
import { layerBounds, simpleBounds } from "./bounds.ts";
import { rotaryBounds } from "./bounds-rotary.ts";
import { attentionBounds, lossBounds } from "./bounds-training.ts";
import type { ActivationDType } from "./candidates.ts";
import type { Sample } from "./sample.ts";

const bounds: Bounds<KernelName> = {
  ...simpleBounds,
  ...layerBounds,
  ...rotaryBounds,
  ...attentionBounds,
  ...lossBounds,
};

/** Where buffers begin in their storages: on a cache line, or at odd elements, a different one for each. */
export type Layout = "aligned" | "odd";
const guard = 16;
const wildIndex = 0x7fffffff;

type BufferGiven = Float64Array | Int32Array | { readonly of: string; readonly at: number } | "blank" | null;

/** A storage of a call: NaN (a wild index) in front of and behind the buffer or the array with its parts. */
interface Root {
  readonly name: string;
  /** Holds an activation, which may be of another element type than the rest. */
  readonly activation: boolean;
  readonly lead: number;
  readonly contents: Float64Array | Int32Array;
}

interface Place {
  readonly root: string;
  /** From the start of the storage. */
  readonly offset: number;
  readonly length: number;
}

interface Plan {
  readonly roots: readonly Root[];
  readonly places: Readonly<Record<string, Place>>;
}

const lengthsOf = <K extends KernelName>(kernel: K, sample: Sample<K>): Readonly<Record<string, number>> =>
  (kernels[kernel].lengths as unknown as (sizes: Sample<K>["numbers"]) => Record<string, number>)(sample.numbers);

/** As a storage of that element type would hold them. */
const stored = (values: Float64Array, dtype: ActivationDType): Float64Array =>
  dtype === "float32" ? values : Float64Array.from(fromBfloat16(toBfloat16(Float32Array.from(values))));

const plan = <K extends KernelName>(
  kernel: K,
  sample: Sample<K>,
  layout: Layout,
  activations: ActivationDType = "float32",
): Plan => {
  const specs = kernels[kernel].buffers as Readonly<Record<string, { element: string }>>;
  const lengths = lengthsOf(kernel, sample);
  const given = Object.entries(sample.buffers as Readonly<Record<string, BufferGiven>>);
  const roots: Root[] = [];
  const places: Record<string, Place> = {};
  given.forEach(([name, buffer], index) => {
    if (buffer === null || (typeof buffer === "object" && "of" in buffer)) return;
    const length = lengths[name] as number;
    const activation = specs[name]?.element === "activation";
    const reals = buffer === "blank" ? new Float64Array(length).fill(Number.NaN) : buffer;
    const data = activation && reals instanceof Float64Array ? stored(reals, activations) : reals;
    const lead = guard + (layout === "aligned" ? 0 : 1 + ((2 * index) % 15));
    const total = lead + data.length + guard;
    const contents =
      data instanceof Int32Array ? new Int32Array(total).fill(wildIndex) : new Float64Array(total).fill(Number.NaN);
    contents.set(data, lead);
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

const run = async <K extends KernelName>(
  backend: Backend,
  kernel: K,
  sample: Sample<K>,
  { roots, places }: Plan,
  activations: ActivationDType = "float32",
): Promise<Contents> => {
  const real = backend.capabilities.real.includes("float64") ? "float64" : "float32";
  const storages = new Map<string, Storage>();
  for (const { name, activation, contents } of roots) {
    const index = contents instanceof Int32Array;
    const dtype = activation && activations === "bfloat16" ? activations : index ? "int32" : real;
    const storage = backend.alloc(dtype, contents.length);
    backend.write(storage, index || dtype === "float64" ? contents : Float32Array.from(contents));
    storages.set(name, storage);
  }
  const views: Record<string, View | null> = {};
  for (const name of Object.keys(sample.buffers)) {
    const place = places[name];
    views[name] = place === undefined ? null : { storage: storages.get(place.root) as Storage, offset: place.offset };
  }
  backend.run(kernel, { ...sample.numbers, ...views } as unknown as KernelArgs<K, View>);
  const after = new Map<string, HostArray>();
  for (const [name, storage] of storages) after.set(name, await backend.read(storage));
  for (const storage of storages.values()) backend.free(storage);
  return after;
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

interface Expected {
  readonly contents: Contents;
  /** Per element of each storage; 0 where nothing may be written or the result is exact. */
  readonly tolerances: ReadonlyMap<string, Float64Array>;
}

// Compiled kernels may flush what is below float32's normal range, factors of ordinary size included.
const underflow = 2 ** -120;

// Half a unit in the last place of bfloat16, and a sixteenth of that: what is rounded need not be exact to float32.
const narrowError = (17 / 16) * (epsilon.bfloat16 / 2);

const exactReferences = {
  float32: openReference({ real: "float64", dtype: "float32" }),
  bfloat16: openReference({ real: "float64", dtype: "bfloat16" }),
};
const expectations = new Map<object, Map<string, Expected>>();

const expected = async <K extends KernelName>(
  kernel: K,
  sample: Sample<K>,
  layout: Layout,
  dtype: ProductDType,
  activations: ActivationDType,
): Promise<Expected> => {
  const way = `${layout} ${dtype} ${activations}`;
  const known = expectations.get(sample)?.get(way);
  if (known !== undefined) return known;
  const planned = plan(kernel, sample, layout, activations);
  const before = new Map<string, HostArray>(planned.roots.map(({ name, contents }) => [name, contents]));
  const contents = await run(await exactReferences[dtype], kernel, sample, planned);
  const tolerances = new Map(planned.roots.map((root) => [root.name, new Float64Array(root.contents.length)]));
  const specs = kernels[kernel].buffers as Readonly<Record<string, { access: string }>>;
  const allowed = bounds[kernel](hostArgs(sample, planned, before, dtype), hostArgs(sample, planned, contents, dtype));
  for (const [name, tolerance] of Object.entries<Tolerance>(allowed)) {
    const place = planned.places[name];
    if (place === undefined) continue;
    const target = tolerances.get(place.root) as Float64Array;
    const rounded = activations === "bfloat16" && planned.roots.find((root) => root.name === place.root)?.activation;
    const values = contents.get(place.root) as HostArray;
    for (let i = 0; i < place.length; i++) {
      const at = place.offset + i;
      const limit = tolerance(i);
      if (limit === 0 && !(rounded && specs[name]?.access === "out")) continue;
      const rounding = rounded ? narrowError * (Math.abs(values[at] as number) + limit) : 0;
      target[at] = limit + rounding + underflow;
    }
  }
  const result = { contents, tolerances };
  const ways = expectations.get(sample) ?? new Map<string, Expected>();
  expectations.set(sample, ways.set(way, result));
  return result;
};

/** Which buffer an element of a storage belongs to, and its index there, for messages. */
const locate = ({ places }: Plan, root: string, i: number): string => {
  for (const [name, place] of Object.entries(places)) {
    if (place.root === root && i >= place.offset && i < place.offset + place.length)
      return `${name}[${i - place.offset}]`;
  }
  const { offset } = places[root] as Place;
  return `outside of every buffer, at ${root}[${i - offset}]`;
};

interface Worst {
  readonly index: number;
  readonly excess: number;
}

const compare = (actual: HostArray, wanted: HostArray, tolerances: Float64Array): { wrong: number; worst: Worst } => {
  let wrong = 0;
  let worst: Worst = { index: -1, excess: 1 };
  for (let i = 0; i < wanted.length; i++) {
    const a = actual[i] as number;
    const w = actual instanceof Float32Array ? Math.fround(wanted[i] as number) : (wanted[i] as number);
    if (a === w || (Number.isNaN(a) && Number.isNaN(w))) continue;
    const ratio = Math.abs(a - w) / (tolerances[i] as number);
    const excess = Number.isNaN(ratio) ? Number.POSITIVE_INFINITY : ratio;
    if (excess <= 1) continue;
    wrong++;
    if (excess > worst.excess) worst = { index: i, excess };
  }
  return { wrong, worst };
};

/**
 * Runs the sample on the backend, with activations of that type, and holds every element of every storage against the
 * reference in double, opened with the backend's dtype: outputs within tolerance, all else (inputs, gaps between rows, the guards around each buffer) untouched.
 * Returns what is wrong, or undefined.
 */
export const disagreement = async <K extends KernelName>(
  backend: Backend,
  kernel: K,
  sample: Sample<K>,
  layout: Layout,
  activations: ActivationDType = "float32",
): Promise<string | undefined> => {
  const planned = plan(kernel, sample, layout, activations);
  const { contents, tolerances } = await expected(kernel, sample, layout, backend.capabilities.dtype, activations);
  const actual = await run(backend, kernel, sample, planned, activations);
  for (const { name } of planned.roots) {
    const got = actual.get(name) as HostArray;
    const wanted = contents.get(name) as HostArray;
    const limits = tolerances.get(name) as Float64Array;
    const { wrong, worst } = compare(got, wanted, limits);
    if (wrong === 0) continue;
    const i = worst.index;
    return (
      `${kernel} (${sample.name}; ${layout} offsets): ${wrong} of ${wanted.length} elements of ${name} are wrong; ` +
      `worst ${locate(planned, name, i)}: expected ${wanted[i]} ± ${limits[i]}, got ${got[i]}`
    );
  }
  return undefined;
};

/** The bytes that a sample leaves in all of its storages, for comparing two backends to the bit. */
export const resultBits = async <K extends KernelName>(
  backend: Backend,
  kernel: K,
  sample: Sample<K>,
  activations: ActivationDType = "float32",
): Promise<readonly Uint8Array[]> => {
  const planned = plan(kernel, sample, "aligned", activations);
  const contents = await run(backend, kernel, sample, planned, activations);
  return [...contents.values()].map((data) => new Uint8Array(data.buffer, data.byteOffset, data.byteLength));
};
