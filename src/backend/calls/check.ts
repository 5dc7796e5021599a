/**
 * Every backend makes these checks before it touches memory. The checks follow from each kernel's declaration in
 * kernels.ts. Wrong sizes, offsets or storages throw a `ShapeError`; wrong element types throw a `DTypeError`.
 */

import { ConfigError, DTypeError, ShapeError } from "../../core/errors/errors.ts";
import type { DType, HostData, RealDType } from "../../core/tensors/dtype.ts";
import { show, showWord } from "../../core/text/show.ts";
import type { BackendName, Storage, View } from "../backend.ts";
import type { KernelArgs, KernelName } from "../kernels/kernels.ts";
import { kernelNames, kernels } from "../kernels/kernels.ts";
import { type BufferSpec, type Cost, holdsIntegers, type Limit, type Signature } from "../kernels/signature.ts";

/** Facts that a check needs from the backend: its element types, and a test whether a storage is live. */
export interface StorageOwner {
  readonly name: BackendName;
  readonly real: RealDType;
  readonly activations: RealDType | "bfloat16";
  owns(storage: Storage): boolean;
  /** Whether the backend was closed, which frees all its storages. Default: it is open. */
  isClosed?(): boolean;
}

type Sizes = Readonly<Record<string, number>>;

/** Two buffers that must not share memory. The numbers are their positions among the kernel's buffers. */
interface Apart {
  readonly written: number;
  readonly other: number;
}

/** A kernel's declaration in argument order, with names as plain strings. */
export interface KernelPlan {
  readonly index: number;
  readonly buffers: readonly (readonly [name: string, spec: BufferSpec])[];
  readonly ints: readonly string[];
  readonly words: ReadonlySet<string>;
  readonly floats: readonly string[];
  readonly lengths: (sizes: Sizes) => Sizes;
  readonly limits: readonly Limit[];
  readonly oneType: readonly string[];
  readonly apart: readonly Apart[];
  readonly cost: Cost;
}

/** A kernel's declaration as the table contains it: each buffer is found by its name. */
type Declaration = Signature<Readonly<Record<string, BufferSpec>>, string, string, string>;

/** List a pair of written buffers only once. */
const apartOf = ({ buffers, shares = {} }: Declaration): Apart[] => {
  const may = shares as Readonly<Record<string, readonly string[] | undefined>>;
  const specs = Object.entries(buffers);
  return specs.flatMap(([one, { access }], i) =>
    specs.flatMap(([other, spec], j) => {
      const counted = access === "in" || j === i || (spec.access !== "in" && j < i);
      return counted || may[one]?.includes(other) ? [] : [{ written: i, other: j }];
    }),
  );
};

const planOf = (name: KernelName, index: number): KernelPlan => {
  const declaration = kernels[name] as unknown as Declaration;
  const { buffers, ints, words = [], floats, lengths, limits = [], oneType = [], cost = {} } = declaration;
  return {
    index,
    buffers: Object.entries(buffers),
    ints,
    words: new Set(words),
    floats,
    lengths,
    limits,
    oneType,
    apart: apartOf(declaration),
    cost,
  };
};

export const kernelPlans = Object.fromEntries(
  kernelNames.map((name, index) => [name, planOf(name, index)]),
) as Readonly<Record<KernelName, KernelPlan>>;

const maxInt = 2 ** 31 - 1;

/** How an error names an argument of a kernel. */
const told = (value: unknown): string => (value === undefined ? "undefined" : showWord(value));

type Given = Readonly<Record<string, unknown>>;

const checkInt = (kernel: KernelName, name: string, value: unknown, word: boolean): void => {
  const low = word ? -(2 ** 31) : 0;
  const high = word ? 2 ** 32 - 1 : maxInt;
  if (typeof value === "number" && Number.isInteger(value) && value >= low && value <= high) return;
  throw new ShapeError({
    where: kernel,
    must: `${name} must be a whole number from ${low} to ${high}`,
    got: told(value),
  });
};

/** The violated condition and the value, or undefined if the limit holds. */
const passed = (limit: Limit, given: Given): { must: string; got: string } | undefined => {
  const size = (name: string): number => given[name] as number;
  switch (limit.kind) {
    case "positive":
      return size(limit.size) === 0 ? { must: `${limit.size} must be at least 1`, got: "0" } : undefined;
    case "even":
      return size(limit.size) % 2 === 0
        ? undefined
        : { must: `${limit.size} must be even`, got: told(given[limit.size]) };
    case "zero": {
      const free = limit.given !== undefined && given[limit.given] == null;
      if (free || size(limit.size) === 0) return undefined;
      const must = [`${limit.size} must be 0`, ...(limit.where === undefined ? [] : [limit.where])].join(" ");
      return { must, got: told(given[limit.size]) };
    }
    case "range": {
      const [first, end] = [size(limit.first), size(limit.first) + size(limit.count)];
      if (end <= size(limit.end)) return undefined;
      const must = `${limit.count} ${first} to ${end - 1} must be below ${limit.end}`;
      return { must, got: told(given[limit.end]) };
    }
    case "together": {
      const [one, other] = limit.buffers;
      if ((given[one] == null) === (given[other] == null)) return undefined;
      const absent = given[one] == null ? one : other;
      return { must: `${one} and ${other} must both be given or both be null`, got: `null only for ${absent}` };
    }
    case "either": {
      const [one, other] = limit.buffers;
      if (given[one] == null || given[other] == null) return undefined;
      return { must: `one of ${one} and ${other} must be null`, got: "both" };
    }
    case "multiple":
      return size(limit.size) % size(limit.of) === 0
        ? undefined
        : { must: `${limit.size} must be a multiple of ${limit.of}`, got: `${size(limit.size)} and ${size(limit.of)}` };
    case "most":
      return size(limit.size) <= size(limit.most)
        ? undefined
        : { must: `${limit.size} must be at most ${limit.most}`, got: `${size(limit.size)} and ${size(limit.most)}` };
    case "below":
      return size(limit.size) < limit.end
        ? undefined
        : { must: `${limit.size} must be below ${limit.end}`, got: told(given[limit.size]) };
    case "whole":
      return size(limit.size) % limit.of === 0
        ? undefined
        : { must: `${limit.size} must be a multiple of ${limit.of}`, got: told(given[limit.size]) };
    case "flag":
      return size(limit.flag) <= 1 ? undefined : { must: `${limit.flag} must be 0 or 1`, got: told(given[limit.flag]) };
    case "share": {
      const real = given[limit.real] as number;
      return real >= 0 && real < 1
        ? undefined
        : { must: `${limit.real} must be at least 0 and below 1`, got: told(real) };
    }
    case "counts": {
      const absent = given[limit.buffer] == null;
      if ((size(limit.size) === 0) === absent) return undefined;
      const must = absent ? `must be 0 if ${limit.buffer} is null` : `must be at least 1 if ${limit.buffer} is given`;
      return { must: `${limit.size} ${must}`, got: told(given[limit.size]) };
    }
    case "under":
      return size(limit.flag) !== 0 || size(limit.size) === 0
        ? undefined
        : { must: `${limit.size} must be 0 if ${limit.flag} is 0`, got: told(given[limit.size]) };
    case "needs":
      return given[limit.buffer] == null || given[limit.other] != null
        ? undefined
        : { must: `${limit.other} must be given if ${limit.buffer} is given`, got: `null for ${limit.other}` };
    default:
      return limit satisfies never;
  }
};

const checkLimits = (kernel: KernelName, limits: readonly Limit[], given: Given): void => {
  for (const limit of limits) {
    const wrong = passed(limit, given);
    if (wrong !== undefined) throw new ShapeError({ where: kernel, ...wrong });
  }
};

const viewOf = (given: Given, name: string): View | null | undefined => given[name] as View | null | undefined;

const checkTypes = (kernel: KernelName, [first = "", ...rest]: readonly string[], given: Given): void => {
  const wanted = viewOf(given, first)?.storage.dtype;
  for (const name of rest) {
    const dtype = viewOf(given, name)?.storage.dtype;
    if (dtype === undefined || dtype === wanted) continue;
    throw new DTypeError({
      where: kernel,
      must: `${name} must have the element type of ${first}, ${wanted}`,
      got: dtype,
    });
  }
};

/** Views of the buffers in the current call, in the order of the buffers. */
const views: (View | null | undefined)[] = [];

const checkApart = (kernel: KernelName, { buffers, apart }: KernelPlan, lengths: Sizes): void => {
  for (const { written, other } of apart) {
    const to = views[written];
    const from = views[other];
    if (to == null || from == null || to.storage !== from.storage) continue;
    const [toName, fromName] = [buffers[written]?.[0] as string, buffers[other]?.[0] as string];
    const [toEnd, fromEnd] = [to.offset + (lengths[toName] as number), from.offset + (lengths[fromName] as number)];
    if (to.offset >= fromEnd || from.offset >= toEnd) continue;
    throw new ShapeError({
      where: kernel,
      must: `${toName} and ${fromName} must not share memory`,
      got: `elements from ${to.offset} to ${toEnd - 1} and from ${from.offset} to ${fromEnd - 1} of one storage`,
    });
  }
};

/** Error for a call on a closed backend. Usually, the backend was closed while other code still used it. */
export const closedBackend = (where: string, { name }: Pick<StorageOwner, "name">): ConfigError =>
  new ConfigError({
    where,
    must: `the ${name} backend must be open`,
    got: "a closed backend",
    hint: "closing it only after all work that uses it has ended",
  });

const storageError = (where: string, owner: StorageOwner): ShapeError | ConfigError =>
  owner.isClosed?.() === true
    ? closedBackend(where, owner)
    : new ShapeError({
        where,
        must: `the storage must be live and belong to the ${owner.name} backend`,
        got: "a freed storage, or a storage of another backend",
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
  const dtype: DType = holdsIntegers(spec) ? "int32" : owner.real;
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
      must: `${name} must hold ${length} elements from offset ${offset}`,
      got: `a storage of ${storage.length}`,
    });
  }
};

const callError = (kernel: unknown, args: unknown): ShapeError =>
  new ShapeError({
    where: "run",
    must: "the kernel must be in the kernel table, and its arguments an object",
    got: `${told(kernel)} and ${show(args)}`,
  });

/**
 * Checks one kernel call. Integers must be in range, and reals must be numbers. Every buffer must be live, belong to
 * this backend, have its element type, and be long enough from its offset. Outputs must not share memory with other
 * buffers, except where the kernel allows it.
 * @returns the number of elements that each buffer must have, by name
 * @throws ShapeError naming the kernel, the argument, the condition and the value
 * @throws DTypeError for a buffer of another element type
 */
export const checkCall = <K extends KernelName>(owner: StorageOwner, kernel: K, args: KernelArgs<K, View>): Sizes => {
  const plan = typeof kernel === "string" ? kernelPlans[kernel] : undefined;
  const given = args as Readonly<Record<string, unknown>>;
  if (plan?.ints === undefined || typeof given !== "object" || given === null) throw callError(kernel, args);
  for (const name of plan.ints) checkInt(kernel, name, given[name], plan.words.has(name));
  for (const name of plan.floats) {
    if (typeof given[name] !== "number") {
      throw new ShapeError({ where: kernel, must: `${name} must be a number`, got: told(given[name]) });
    }
  }
  checkLimits(kernel, plan.limits, given);
  const lengths = plan.lengths(given as Sizes);
  let at = 0;
  for (const [name, spec] of plan.buffers) {
    const view = viewOf(given, name);
    checkView(owner, kernel, name, spec, view, lengths[name] as number);
    views[at++] = view;
  }
  checkTypes(kernel, plan.oneType, given);
  checkApart(kernel, plan, lengths);
  return lengths;
};

/**
 * Checks the arguments of `alloc`.
 * @throws DTypeError for a type that the backend does not support
 * @throws ShapeError for a length that is not a whole number
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

/**
 * @throws ShapeError for a storage that was freed or belongs to another backend, ConfigError if the backend was closed
 */
export const checkOwned = (owner: StorageOwner, where: string, storage: Storage): void => {
  if (!owner.owns(storage)) throw storageError(where, owner);
};

/**
 * Checks that `length` elements from `offset` lie within a live storage of `owner`.
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
    must: `the elements must lie within the storage's ${storage.length} elements`,
    got: `${told(length)} from offset ${told(offset)}`,
  });
};

const dtypeOf = (data: HostData): DType | undefined =>
  data instanceof Float32Array
    ? "float32"
    : data instanceof Float64Array
      ? "float64"
      : data instanceof Int32Array
        ? "int32"
        : data instanceof Uint16Array
          ? "bfloat16"
          : undefined;

/**
 * Checks the arguments of `write`.
 *
 * @throws DTypeError for an array of another element type than the storage's
 * @throws ShapeError for an invalid storage or range
 */
export const checkWrite = (owner: StorageOwner, storage: Storage, data: HostData, offset: number): void => {
  checkOwned(owner, "write", storage);
  const dtype = dtypeOf(data);
  const isRounded = storage.dtype === "bfloat16" && dtype === "float32";
  if (dtype !== storage.dtype && !isRounded) {
    const wanted = storage.dtype === "bfloat16" ? "float32 or bfloat16" : storage.dtype;
    throw new DTypeError({ where: "write", must: `the data must be ${wanted}`, got: dtype ?? typeof data });
  }
  checkRange(owner, "write", storage, offset, data.length);
};
