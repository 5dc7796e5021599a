/** Compares a backend's kernels with the reference in float64, element by element. */
import type { Backend, Storage, View } from "../../backend/backend.ts";
import { kernelPlans } from "../../backend/calls/check.ts";
import { multiplyingKernels } from "../../backend/implementations/reference/host-args.ts";
import { openReference } from "../../backend/implementations/reference/reference.ts";
import { type KernelArgs, type KernelName, kernelNames } from "../../backend/kernels/kernels.ts";
import { holdsIntegers } from "../../backend/kernels/signature.ts";
import { yieldToHost } from "../../core/system/yield.ts";
import { epsilon, fromBfloat16, type HostArray, toBfloat16 } from "../../core/tensors/dtype.ts";
import { failed, ok, type Verdict } from "../check.ts";
import { kernelCases } from "./cases.ts";
import { type KernelCase, noise } from "./kernel-case.ts";

/** Number of guard elements before and after each buffer. A kernel must not change them. */
const guard = 16;
/** Value in the guards of integer buffers. A kernel that uses this value as an index would fail. */
const wildIndex = 0x7fffffff;

/** Tolerance as a multiple of the usual rounding error. A wrong term in a sum causes a much larger error. */
const slack = 32;

interface Buffer {
  readonly name: string;
  readonly length: number;
  readonly isActivation: boolean;
  /** Includes the guards. */
  readonly contents: Float32Array | Int32Array;
}

/** The buffers of a call. Every call gets the same contents. */
const buffersOf = ({ kernel, numbers, given }: KernelCase, narrow: boolean): readonly Buffer[] => {
  const { normals } = noise(2);
  const { buffers, lengths } = kernelPlans[kernel];
  const needed = lengths(numbers);
  return buffers.flatMap(([name, spec]): Buffer[] => {
    const integers = holdsIntegers(spec);
    const length = needed[name] ?? 0;
    const isActivation = spec.element === "activation";
    const own = given[name];
    if (own === null || (own === undefined && spec.optional && integers)) return [];
    const outside = integers ? wildIndex : Number.NaN;
    const contents = new (integers ? Int32Array : Float32Array)(length + 2 * guard).fill(outside);
    if (own !== undefined || spec.access !== "out") {
      const values = own ?? normals(length);
      contents.set(isActivation && narrow ? fromBfloat16(toBfloat16(values)) : values, guard);
    }
    return [{ name, length, isActivation, contents }];
  });
};

/** Contents of the buffers after a call. */
type After = ReadonlyMap<string, HostArray>;

const call = async (backend: Backend, { kernel, numbers }: KernelCase, buffers: readonly Buffer[]): Promise<After> => {
  const { activations, real } = backend.capabilities;
  const storages = new Map<string, Storage>();
  const after = new Map<string, HostArray>();
  try {
    const args: Record<string, number | View | null> = { ...numbers };
    for (const [name] of kernelPlans[kernel].buffers) args[name] = null;
    for (const { name, isActivation, contents } of buffers) {
      const isReal = contents instanceof Float32Array;
      const dtype = isReal ? (isActivation ? activations : (real[0] ?? "float32")) : "int32";
      const storage = backend.alloc(dtype, contents.length);
      storages.set(name, storage);
      backend.write(storage, dtype === "float64" ? Float64Array.from(contents) : contents);
      args[name] = { storage, offset: guard };
    }
    backend.run(kernel, args as KernelArgs<KernelName, View>);
    for (const [name, storage] of storages) after.set(name, await backend.read(storage));
  } finally {
    for (const storage of storages.values()) backend.free(storage);
  }
  return after;
};

/** Relative tolerance for each element of a result. */
const relativeError = ({ kernel, terms }: KernelCase, isActivation: boolean, backend: Backend): number => {
  const { dtype, activations } = backend.capabilities;
  const isProduct = (multiplyingKernels as readonly KernelName[]).includes(kernel);
  const ofSums = slack * epsilon.float32 * Math.sqrt(terms);
  // A product rounds intermediate results to the type of its operands. A tiny difference can make a value round up
  // instead of down.
  const ofOperands = dtype === "bfloat16" && isProduct ? 2 * epsilon.bfloat16 : 0;
  const ofStoring = isActivation && activations === "bfloat16" ? epsilon.bfloat16 : 0;
  return ofSums + ofOperands + ofStoring;
};

/** Root mean square of the finite numbers. */
const sizeOfNumbers = (values: HostArray): number => {
  let sum = 0;
  let count = 0;
  for (const value of values) {
    if (!Number.isFinite(value)) continue;
    sum += value ** 2;
    count++;
  }
  return count === 0 ? 0 : Math.sqrt(sum / count);
};

/** Describes the first wrong element. Returns undefined if all elements are right. */
const faultIn = (
  one: KernelCase,
  { name, length, isActivation, contents }: Buffer,
  [got, wanted]: readonly [HostArray, HostArray],
  backend: Backend,
): string | undefined => {
  const place = Object.entries(one.numbers)
    .slice(0, 3)
    .map(([size, value]) => `${size} ${value}`)
    .join(", ");
  const say = (what: string): string => `${one.kernel} (${place}): ${what}`;
  const exact = contents instanceof Int32Array;
  const relative = exact ? 0 : relativeError(one, isActivation, backend);
  const usual = exact ? 0 : sizeOfNumbers(wanted.subarray(guard, guard + length));
  for (let i = 0; i < got.length; i++) {
    const [a, b] = [got[i] as number, wanted[i] as number];
    if (a === b || (Number.isNaN(a) && Number.isNaN(b))) continue;
    const at = i - guard;
    if (at < 0 || at >= length) return say(`wrote outside ${name}, at ${at} of ${length}`);
    // The negated condition also catches NaN.
    if (!(Math.abs(a - b) <= relative * (Math.abs(b) + usual)))
      return say(`${name}[${at}] of ${length} is ${a}, but must be ${Number(b.toPrecision(8))}`);
  }
  return undefined;
};

interface Expected {
  readonly buffers: readonly Buffer[];
  readonly after: After;
}

/** Results of the reference for all cases. The results are computed once for each dtype. */
const expectations = () => {
  const known = new Map<string, Expected>();
  return async (index: number, backend: Backend): Promise<Expected> => {
    const { dtype, activations } = backend.capabilities;
    const way = `${index} ${dtype} ${activations}`;
    const before = known.get(way);
    if (before !== undefined) return before;
    const one = kernelCases[index] as KernelCase;
    const buffers = buffersOf(one, activations === "bfloat16");
    const reference = await openReference({ real: "float64", dtype });
    const found = { buffers, after: await call(reference, one, buffers) };
    await reference.close();
    known.set(way, found);
    return found;
  };
};

/** Creates a function that checks backends one after the other. */
export const kernelChecker = () => {
  const expected = expectations();
  /**
   * @param forms the ways in which a backend computes. Each way has a name and an opened backend.
   * @param advice what to do about wrong kernels.
   */
  return async (forms: readonly (readonly [words: string, backend: Backend])[], advice: string): Promise<Verdict> => {
    const wrong = new Set<string>();
    let first: string | undefined;
    for (const [words, backend] of forms) {
      for (let index = 0; index < kernelCases.length; index++) {
        const one = kernelCases[index] as KernelCase;
        const { buffers, after } = await expected(index, backend);
        const got = await call(backend, one, buffers);
        for (const buffer of buffers) {
          const pair = [got.get(buffer.name), after.get(buffer.name)] as const;
          const [actual, wanted] = pair;
          if (actual === undefined || wanted === undefined) continue;
          const fault = faultIn(one, buffer, [actual, wanted], backend);
          if (fault === undefined) continue;
          wrong.add(one.kernel);
          first ??= `${fault}, in ${words}`;
        }
        if (index % 32 === 0) await yieldToHost();
      }
    }
    const all = `${kernelNames.length} kernels`;
    if (first !== undefined) return failed(`${wrong.size} of ${all} wrong: ${first}`, advice);
    return ok(`${all} agree with float64 (${forms.map(([words]) => words).join(", ")})`);
  };
};
