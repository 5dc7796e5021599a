/** A pass whose kernel calls are recorded: they can be run again on other tokens, in other memory, and for another step. */
import type { Backend, RecordedCalls, Storage } from "../backend/backend.ts";
import type { HostData } from "../core/tensors/dtype.ts";
import { bytesPerElement } from "../core/tensors/dtype.ts";
import type { Batch } from "../data/batches.ts";
import type { Gradients } from "../models/gradients.ts";
import type { PassGradient } from "./pass-gradient.ts";

/** What was written before the calls, which read it. */
interface Written {
  readonly storage: Storage;
  readonly data: HostData;
}

export interface RecordedPass {
  /** The calls of pass 0 of step 0. */
  readonly calls: RecordedCalls;
  /** Numbers that differ in other passes and steps: those of dropout. */
  readonly changes: readonly Change[];
  /** All memory that the calls use but the model's and the gradients', which were there before. */
  readonly storages: readonly Storage[];
  /** Those of `storages` that are written before the calls, but for `x` and `y`. */
  readonly constants: readonly Written[];
  readonly x: Storage;
  readonly y: Storage;
  /** Where the calls leave the summed cross-entropy, [1]. */
  readonly loss: Storage;
  /** Of `storages`. */
  readonly bytes: number;
  /** Frees `storages`. */
  close(): void;
}

/** A number at `index` that is `start` + step · `ofStep` + number of the pass · `ofPass`. */
export interface Change {
  readonly index: number;
  readonly start: number;
  readonly ofStep: number;
  readonly ofPass: number;
}

/** From this length on freed memory is used again: ids and single numbers, which are written before the calls, are shorter. */
const reusedFrom = 64;

/**
 * `inner` with memory that is for the calls of one pass alone: what is freed serves the next that asks for as much. It
 * allocates in the same order each time after `again`.
 */
const ownMemory = (inner: Backend) => {
  const storages: Storage[] = [];
  const written: Written[] = [];
  /** What each request was given, in order. */
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
      if (isReused(storage) || offset !== 0) throw new Error("a pass writes short arrays and ids alone, and whole");
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

/** The numbers that step and pass change, from the calls of pass 0 of step 0, of step 1, and of pass 1. */
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
 * Records a pass over batches of this one's shape, into `gradients`.
 * @param targets of the whole step.
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
    let pass: Promise<number> | undefined;
    const calls = backend.record?.(() => {
      pass = passGradient({ step, number, batch, targets }, gradients, () => {}, undefined, own.backend);
      // It is waited for below, unless what follows fails.
      pass.catch(() => {});
      // Zeros where no op has written.
      void gradients.arena;
    });
    await pass;
    if (calls === undefined) throw new Error("a backend must record calls to run them beside each other");
    return calls;
  };
  try {
    const calls = await recorded(0, 0);
    const changes = changesOf([calls.numbers, (await recorded(1, 0)).numbers, (await recorded(0, 1)).numbers]);
    const [x, y] = own.written.filter(({ storage }) => storage.dtype === "int32").map(({ storage }) => storage);
    const loss = own.lastRead();
    if (x === undefined || y === undefined || loss === undefined)
      throw new Error("a pass reads ids and targets, and tells a loss");
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
