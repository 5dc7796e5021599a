/** Records the kernel calls of a pass. They can run again on other tokens, in other memory, and for another step. */
import type { Backend, RecordedCalls, Storage } from "../backend/backend.ts";
import type { HostData } from "../core/tensors/dtype.ts";
import { bytesPerElement } from "../core/tensors/dtype.ts";
import type { Batch } from "../data/batches.ts";
import type { Gradients } from "../models/gradients.ts";
import type { PassGradient } from "./pass-gradient.ts";

/** Data that was written before the calls and that the calls read. */
interface Written {
  readonly storage: Storage;
  readonly data: HostData;
}

/** Memory of a slice of a pass. */
export interface RecordedSlice {
  /** Inputs and targets, which are written before the calls. */
  readonly x: Storage;
  readonly y: Storage;
  /** The calls write the sums of the losses here: [1], or [2] with teachers. */
  readonly loss: Storage;
}

export interface RecordedPass {
  /** The calls of pass 0 of step 0. */
  readonly calls: RecordedCalls;
  /** Numbers in the calls that differ between passes and steps: the positions of dropout's random numbers. */
  readonly changes: readonly Change[];
  /** All memory that the calls use, except the model's and the gradients', which existed before. */
  readonly storages: readonly Storage[];
  /** The members of `storages` that are written before the calls, except the members of `slices`. */
  readonly constants: readonly Written[];
  /** The slices of the pass, in order. */
  readonly slices: readonly RecordedSlice[];
  /** Of `storages`. */
  readonly bytes: number;
  /** Frees `storages`. */
  close(): void;
}

/** The number at `index` has the value `start` + step · `ofStep` + number of the pass · `ofPass`. */
export interface Change {
  readonly index: number;
  readonly start: number;
  readonly ofStep: number;
  readonly ofPass: number;
}

/**
 * Minimum length of arrays whose freed memory is reused. Shorter arrays hold ids and single numbers, which are written
 * before the calls.
 */
const reusedFrom = 64;

/**
 * Takes the shortest array of at least this length out of `spare`. An array may be up to twice as long as needed: the
 * last slice of a pass is often shorter than the others.
 */
const takeFrom = (spare: Storage[], dtype: Storage["dtype"], length: number): Storage | undefined => {
  if (length < reusedFrom) return undefined;
  let best = -1;
  for (const [i, one] of spare.entries()) {
    if (one.dtype !== dtype || one.length < length || one.length > 2 * length) continue;
    if (best === -1 || one.length <= (spare[best] as Storage).length) best = i;
  }
  return best === -1 ? undefined : spare.splice(best, 1)[0];
};

/**
 * Wraps `inner` with memory for the calls of one pass only: a freed array is given to a later request. After each
 * `again`, requests get the same arrays in the same order.
 */
const ownMemory = (inner: Backend) => {
  const storages: Storage[] = [];
  const written: Written[] = [];
  /** The array that each request got, in order. */
  const given: Storage[] = [];
  let spare: Storage[] = [];
  let requests = 0;
  let reads: Storage[] = [];
  const isReused = ({ dtype, length }: Storage): boolean => dtype !== "int32" && length >= reusedFrom;
  const backend: Backend = {
    ...inner,
    alloc(dtype, length) {
      const known = given[requests++];
      if (known !== undefined) return known;
      const again = takeFrom(spare, dtype, length);
      const storage = again ?? inner.alloc(dtype, length);
      if (again === undefined) storages.push(storage);
      given.push(storage);
      return storage;
    },
    free(storage) {
      if (isReused(storage) && requests >= given.length) spare.push(storage);
    },
    write(storage, data, offset = 0) {
      if (isReused(storage) || offset !== 0)
        throw new Error("a pass must write only short arrays and ids, and each as a whole");
      if (!written.some((one) => one.storage === storage)) written.push({ storage, data });
      inner.write(storage, data);
    },
    read(storage, offset, length) {
      reads.push(storage);
      return inner.read(storage, offset, length);
    },
  };
  return {
    backend,
    storages,
    written,
    again() {
      requests = 0;
      reads = [];
      spare = [];
    },
    /** The arrays that were read, in order. */
    reads: () => reads,
    close() {
      for (const storage of storages.splice(0)) inner.free(storage);
    },
  };
};

/**
 * Finds the numbers in the calls that depend on the step or the pass. It compares three recordings: pass 0 of step 0,
 * pass 0 of step 1, and pass 1 of step 0.
 */
const changesOf = ([first, ofStep, ofPass]: readonly [Float64Array, Float64Array, Float64Array]): Change[] => {
  const changes: Change[] = [];
  first.forEach((start, index) => {
    const step = (ofStep[index] as number) - start;
    const pass = (ofPass[index] as number) - start;
    if (step !== 0 || pass !== 0) changes.push({ index, start, ofStep: step, ofPass: pass });
  });
  return changes;
};

/** Each slice writes its ids and then its targets, and reads its loss. */
const slicesIn = (written: readonly Written[], losses: readonly Storage[]): RecordedSlice[] => {
  const integers = written.map(({ storage }) => storage).filter(({ dtype }) => dtype === "int32");
  if (losses.length === 0 || integers.length !== 2 * losses.length)
    throw new Error("each slice of a pass must write ids and targets, and return a loss");
  return losses.map((loss, i) => ({ x: integers[2 * i] as Storage, y: integers[2 * i + 1] as Storage, loss }));
};

/**
 * Records a pass over a batch of this shape, into `gradients`.
 * @param targets number of targets of the whole step.
 */
export const recordPass = async (
  backend: Backend,
  passGradient: PassGradient,
  batch: Batch,
  targets: number,
  gradients: Gradients,
): Promise<RecordedPass> => {
  const own = ownMemory(backend);
  const recorded = async (step: number, number: number): Promise<RecordedCalls> => {
    own.again();
    let pass: Promise<unknown> | undefined;
    const calls = backend.record?.(() => {
      pass = passGradient({ step, number, batch, targets }, gradients, () => {}, undefined, own.backend);
      // This promise is awaited below, unless the lines in between fail. In that case its error must not count as
      // unhandled.
      pass.catch(() => {});
      // Also records the kernel that writes zeros where no op has written.
      void gradients.arena;
    });
    await pass;
    if (calls === undefined) throw new Error("a backend must record calls to run them in parallel");
    return calls;
  };
  try {
    const calls = await recorded(0, 0);
    const changes = changesOf([calls.numbers, (await recorded(1, 0)).numbers, (await recorded(0, 1)).numbers]);
    const slices = slicesIn(own.written, own.reads());
    const ofSlices = new Set(slices.flatMap(({ x, y }) => [x, y]));
    const storages = [...own.storages];
    return {
      calls,
      changes,
      storages,
      constants: own.written.filter(({ storage }) => !ofSlices.has(storage)),
      slices,
      bytes: storages.reduce((sum, { dtype, length }) => sum + length * bytesPerElement[dtype], 0),
      close: own.close,
    };
  } catch (error) {
    own.close();
    throw error;
  }
};
