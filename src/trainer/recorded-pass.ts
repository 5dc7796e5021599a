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

export interface RecordedPass {
  /** The calls of pass 0 of step 0. */
  readonly calls: RecordedCalls;
  /** Numbers in the calls that differ between passes and steps: the positions of dropout's random numbers. */
  readonly changes: readonly Change[];
  /** All memory that the calls use, except the model's and the gradients', which existed before. */
  readonly storages: readonly Storage[];
  /** The members of `storages` that are written before the calls, except `x` and `y`. */
  readonly constants: readonly Written[];
  readonly x: Storage;
  readonly y: Storage;
  /** The calls write the sums of the losses here: [1], or [2] with teachers. */
  readonly loss: Storage;
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
 * Wraps `inner` with memory for the calls of one pass only: a freed array is given to the next request of the same
 * length. After each `again`, requests get the same arrays in the same order.
 */
const ownMemory = (inner: Backend) => {
  const storages: Storage[] = [];
  const written: Written[] = [];
  /** The array that each request got, in order. */
  const given: Storage[] = [];
  let spare = new Map<string, Storage[]>();
  let requests = 0;
  let read: Storage | undefined;
  const keyOf = ({ dtype, length }: Pick<Storage, "dtype" | "length">): string => `${dtype} ${length}`;
  const isReused = ({ dtype, length }: Storage): boolean => dtype !== "int32" && length >= reusedFrom;
  const backend: Backend = {
    ...inner,
    alloc(dtype, length) {
      const known = given[requests++];
      if (known !== undefined) return known;
      const again = spare.get(keyOf({ dtype, length }))?.pop();
      const storage = again ?? inner.alloc(dtype, length);
      if (again === undefined) storages.push(storage);
      given.push(storage);
      return storage;
    },
    free(storage) {
      if (!isReused(storage) || requests < given.length) return;
      const key = keyOf(storage);
      spare.set(key, [...(spare.get(key) ?? []), storage]);
    },
    write(storage, data, offset = 0) {
      if (isReused(storage) || offset !== 0)
        throw new Error("a pass must write only short arrays and ids, and each as a whole");
      if (!written.some((one) => one.storage === storage)) written.push({ storage, data });
      inner.write(storage, data);
    },
    read(storage, offset, length) {
      read = storage;
      return inner.read(storage, offset, length);
    },
  };
  return {
    backend,
    storages,
    written,
    again() {
      requests = 0;
      spare = new Map();
    },
    lastRead: () => read,
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
    const [x, y] = own.written.filter(({ storage }) => storage.dtype === "int32").map(({ storage }) => storage);
    const loss = own.lastRead();
    if (x === undefined || y === undefined || loss === undefined)
      throw new Error("a pass must read ids and targets, and return a loss");
    const storages = [...own.storages];
    return {
      calls,
      changes,
      storages,
      constants: own.written.filter(({ storage }) => storage !== x && storage !== y),
      x,
      y,
      loss,
      bytes: storages.reduce((sum, { dtype, length }) => sum + length * bytesPerElement[dtype], 0),
      close: own.close,
    };
  } catch (error) {
    own.close();
    throw error;
  }
};
