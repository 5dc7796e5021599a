/**
 * What every backend checks before it touches memory, from the one declaration of each kernel in kernels.ts. Wrong sizes,
 * offsets and storages are a `ShapeError`, wrong element types a `DTypeError`.
 */
import type { DType, HostArray, RealDType } from "../core/dtype.ts";
import { DTypeError, ShapeError } from "../core/errors.ts";
import { show, showWord } from "../core/show.ts";
import type { BackendName, Storage, View } from "./backend.ts";
import type { KernelArgs, KernelName } from "./kernels.ts";
import { kernelNames, kernels } from "./kernels.ts";
import type { BufferSpec } from "./signature.ts";

/** The backend that checks: what it computes in, and which storages are its own and not freed. */
export interface StorageOwner {
  readonly name: BackendName;
  readonly real: RealDType;
  readonly activations: RealDType | "bfloat16";
  owns(storage: Storage): boolean;
}

type Sizes = Readonly<Record<string, number>>;

/** A kernel's declaration in the order of its arguments, with the names as plain text. */
export interface KernelPlan {
  readonly index: number;
  readonly buffers: readonly (readonly [name: string, spec: BufferSpec])[];
  readonly ints: readonly string[];
  readonly floats: readonly string[];
  readonly lengths: (sizes: Sizes) => Sizes;
}

const planOf = (name: KernelName, index: number): KernelPlan => {
  const { buffers, ints, floats, lengths } = kernels[name];
  return {
    index,
    buffers: Object.entries(buffers),
    ints,
    floats,
    lengths: lengths as unknown as (sizes: Sizes) => Sizes,
  };
};

export const kernelPlans = Object.fromEntries(
  kernelNames.map((name, index) => [name, planOf(name, index)]),
) as Readonly<Record<KernelName, KernelPlan>>;

const maxInt = 2 ** 31 - 1;
/** Words of a random key: any 32 bits, read as signed or unsigned. All other integers are sizes. */
const isWord: ReadonlySet<string> = new Set(["key0", "key1", "key2", "key3", "site"]);

/** An argument of a kernel, for an error line. */
const told = (value: unknown): string => (value === undefined ? "undefined" : showWord(value));

const checkInt = (kernel: KernelName, name: string, value: unknown): void => {
  const word = isWord.has(name);
  const low = word ? -(2 ** 31) : 0;
  const high = word ? 2 ** 32 - 1 : maxInt;
  if (typeof value === "number" && Number.isInteger(value) && value >= low && value <= high) return;
  throw new ShapeError({
    where: kernel,
    must: `${name} must be a whole number from ${low} to ${high}`,
    got: told(value),
  });
};

/** Sizes that no buffer's length rules out, but that would divide by zero or index an empty row. */
const mustBePositive: Partial<Record<KernelName, readonly string[]>> = {
  embeddingForward: ["time", "vocabSize"],
  embeddingBackward: ["time", "vocabSize"],
  rotaryForward: ["time", "headDim"],
  rotaryBackward: ["time", "headDim"],
  crossEntropyForward: ["columns"],
  crossEntropyBackward: ["columns"],
};

const checkConditions = (kernel: KernelName, given: Readonly<Record<string, unknown>>): void => {
  const sizes = given as Sizes;
  for (const name of mustBePositive[kernel] ?? []) {
    if (sizes[name] === 0) throw new ShapeError({ where: kernel, must: `${name} must be at least 1`, got: "0" });
  }
  if (kernel === "attentionBackward" && sizes.start !== 0) {
    throw new ShapeError({ where: kernel, must: "start must be 0", got: told(sizes.start) });
  }
  if (kernel === "crossEntropyForward" || kernel === "crossEntropyBackward") {
    const { first = 0, columns = 0, vocabSize = 0 } = sizes;
    if (first + columns > vocabSize) {
      throw new ShapeError({
        where: kernel,
        must: `columns ${first} to ${first + columns - 1} must be below vocabSize`,
        got: told(vocabSize),
      });
    }
  }
  if (kernel === "attentionForward" && given.kept != null && sizes.start !== 0) {
    throw new ShapeError({ where: kernel, must: "start must be 0 where the mask is kept", got: told(sizes.start) });
  }
  if ((kernel === "rotaryForward" || kernel === "rotaryBackward") && (sizes.headDim as number) % 2 !== 0) {
    throw new ShapeError({ where: kernel, must: "headDim must be even", got: told(sizes.headDim) });
  }
};

/** Optional buffers that only make sense together. */
const bothOrNeither: Partial<Record<KernelName, readonly [string, string]>> = {
  rotaryForward: ["gammaQ", "gammaK"],
  rotaryBackward: ["gammaQ", "gammaK"],
};

/** What a factor multiplies is not what it is added to. */
const checkFactor = (kernel: KernelName, given: Readonly<Record<string, unknown>>): void => {
  if (kernel !== "linearBackwardInput" || given.add === 0 || given.factor == null) return;
  throw new ShapeError({ where: kernel, must: "add must be 0 where there is a factor", got: told(given.add) });
};

const checkPairs = (kernel: KernelName, given: Readonly<Record<string, unknown>>): void => {
  const [one, other] = bothOrNeither[kernel] ?? [];
  if (one === undefined || other === undefined || (given[one] == null) === (given[other] == null)) return;
  const absent = given[one] == null ? one : other;
  throw new ShapeError({
    where: kernel,
    must: `${one} and ${other} must both be given or both be null`,
    got: `null for ${absent} alone`,
  });
};

/** Buffers of activations that must all be of one element type. */
const ofOneType: Partial<Record<KernelName, readonly string[]>> = {
  add: ["a", "b", "y"],
  linearGeluForward: ["y", "slope"],
  attentionForward: ["q", "k", "v", "out"],
  attentionBackward: ["q", "k", "v", "out", "dOut", "dq", "dk", "dv"],
};

const checkTypes = (kernel: KernelName, given: Readonly<Record<string, unknown>>): void => {
  const [first = "", ...rest] = ofOneType[kernel] ?? [];
  const typeOf = (name: string): DType | undefined => (given[name] as View | null | undefined)?.storage.dtype;
  const wanted = typeOf(first);
  for (const name of rest) {
    const dtype = typeOf(name);
    if (dtype === undefined || dtype === wanted) continue;
    throw new DTypeError({ where: kernel, must: `${name} must be of one type with ${first}: ${wanted}`, got: dtype });
  }
};

const storageError = (where: string, owner: StorageOwner): ShapeError =>
  new ShapeError({
    where,
    must: `the storage must be a live one of the ${owner.name} backend`,
    got: "one that was freed, or that another backend made",
  });

const checkView = (
  owner: StorageOwner,
  kernel: KernelName,
  name: string,
  spec: BufferSpec,
  view: View | null | undefined,
  length: number,
): void => {
  if (view === null || view === undefined) {
    if (spec.optional) return;
    throw new ShapeError({ where: kernel, must: `${name} must be given`, got: told(view) });
  }
  const { storage, offset } = view;
  if (!owner.owns(storage)) throw storageError(`${kernel}: ${name}`, owner);
  const dtype: DType = spec.element === "index" ? "int32" : owner.real;
  const narrow = spec.element === "activation" && storage.dtype === owner.activations;
  if (storage.dtype !== dtype && !narrow) {
    throw new DTypeError({ where: kernel, must: `${name} must be ${dtype}`, got: storage.dtype });
  }
  if (!Number.isSafeInteger(offset) || offset < 0) {
    throw new ShapeError({
      where: kernel,
      must: `${name}'s offset must be a whole number, at least 0`,
      got: told(offset),
    });
  }
  if (!(offset + length <= storage.length)) {
    throw new ShapeError({
      where: kernel,
      must: `${name} must hold ${length} elements from offset ${offset} on`,
      got: `a storage of ${storage.length}`,
    });
  }
};

const callError = (kernel: unknown, args: unknown): ShapeError =>
  new ShapeError({
    where: "run",
    must: "a kernel of the table must be named, with an object of its arguments",
    got: `${told(kernel)} and ${show(args)}`,
  });

/**
 * Checks one call of a kernel: integers in range, reals given as numbers, and every buffer live, this backend's, of its
 * element type and long enough from its offset on.
 *
 * @returns the elements that each buffer must hold, by name
 * @throws ShapeError naming the kernel, the argument, what must hold and what came
 * @throws DTypeError for a buffer of another element type
 */
export const checkCall = <K extends KernelName>(owner: StorageOwner, kernel: K, args: KernelArgs<K, View>): Sizes => {
  const plan = typeof kernel === "string" ? kernelPlans[kernel] : undefined;
  const given = args as Readonly<Record<string, unknown>>;
  if (plan?.ints === undefined || typeof given !== "object" || given === null) throw callError(kernel, args);
  for (const name of plan.ints) checkInt(kernel, name, given[name]);
  for (const name of plan.floats) {
    if (typeof given[name] !== "number") {
      throw new ShapeError({ where: kernel, must: `${name} must be a number`, got: told(given[name]) });
    }
  }
  checkConditions(kernel, given);
  const lengths = plan.lengths(given as Sizes);
  for (const [name, spec] of plan.buffers) {
    checkView(owner, kernel, name, spec, given[name] as View | null | undefined, lengths[name] as number);
  }
  checkPairs(kernel, given);
  checkFactor(kernel, given);
  checkTypes(kernel, given);
  return lengths;
};

/**
 * Checks the arguments of `alloc`.
 *
 * @throws DTypeError for a type that the backend does not compute in
 * @throws ShapeError for a length that is no whole number
 */
export const checkAlloc = (owner: StorageOwner, dtype: DType, length: number): void => {
  if (dtype !== "int32" && dtype !== owner.real && dtype !== owner.activations) {
    const also = owner.activations === owner.real ? "" : `, ${owner.activations}`;
    throw new DTypeError({
      where: "alloc",
      must: `the element type must be ${owner.real}${also} or int32 on this ${owner.name} backend`,
      got: told(dtype),
    });
  }
  if (Number.isSafeInteger(length) && length >= 0) return;
  throw new ShapeError({ where: "alloc", must: "length must be a whole number, at least 0", got: told(length) });
};

/** @throws ShapeError for a storage that was freed or that another backend made */
export const checkOwned = (owner: StorageOwner, where: string, storage: Storage): void => {
  if (!owner.owns(storage)) throw storageError(where, owner);
};

/**
 * Checks that `length` elements from `offset` on are part of a live storage of `owner`.
 *
 * @throws ShapeError
 */
export const checkRange = (
  owner: StorageOwner,
  where: "read" | "write",
  storage: Storage,
  offset: number,
  length: number,
): void => {
  checkOwned(owner, where, storage);
  const whole = Number.isSafeInteger(offset) && Number.isSafeInteger(length) && offset >= 0 && length >= 0;
  if (whole && offset + length <= storage.length) return;
  throw new ShapeError({
    where,
    must: `the elements must lie within the storage's ${storage.length}`,
    got: `${told(length)} from offset ${told(offset)} on`,
  });
};

const dtypeOf = (data: HostArray): DType | undefined =>
  data instanceof Float32Array
    ? "float32"
    : data instanceof Float64Array
      ? "float64"
      : data instanceof Int32Array
        ? "int32"
        : undefined;

/**
 * Checks the arguments of `write`.
 *
 * @throws DTypeError for an array of another element type than the storage's
 * @throws ShapeError for a storage or a range that will not do
 */
export const checkWrite = (owner: StorageOwner, storage: Storage, data: HostArray, offset: number): void => {
  checkOwned(owner, "write", storage);
  const dtype = dtypeOf(data);
  const wanted = storage.dtype === "bfloat16" ? "float32" : storage.dtype;
  if (dtype !== wanted) {
    throw new DTypeError({ where: "write", must: `the data must be ${wanted}`, got: dtype ?? typeof data });
  }
  checkRange(owner, "write", storage, offset, data.length);
};
