/**
 * Runs the passes of a step in parallel. Gradients are added along a tree (gradient-sum.ts), and each group of threads
 * computes a whole branch of this tree: from the first kernel of its first pass to its last sum. So no thread waits for
 * other groups after each kernel, and no JavaScript runs during a step. A kernel finds the previous kernel's output in
 * the caches of its core.
 */
import type { Backend, RecordedBranches, RecordedCalls, Storage } from "../backend/backend.ts";
import { ConfigError } from "../core/errors/errors.ts";
import { bytesPerElement } from "../core/tensors/dtype.ts";
import type { Batch } from "../data/batches.ts";
import { checkIds, type Model, trainedPart } from "../models/model.ts";
import { arraysOfSum, type GradientSum, middleOf } from "./gradient-sum.ts";
import { addLosses, type Losses } from "./losses.ts";
import type { PassGradient } from "./pass-gradient.ts";
import type { PassSource } from "./passes.ts";
import { type Change, type RecordedPass, type RecordedSlice, recordPass } from "./recorded-pass.ts";

/** Number of branches of a step that run at a time, and number of threads of each branch. */
export interface Division {
  readonly branches: number;
  readonly threads: number;
}

/** Minimum fraction of the threads that a division must keep busy. */
const leastUse = 0.9;

/** Maximum number of bytes that branches may need in addition to the memory of one pass at a time. */
const mostBytes = 2 ** 29;

/**
 * Divides `passes` passes between `threads` threads: the largest number of branches that keeps the threads busy.
 * Undefined if even two branches would leave too many threads idle.
 */
export const divisionOf = (passes: number, threads: number): Division | undefined => {
  for (let branches = 2 ** Math.floor(Math.log2(Math.min(passes, threads))); branches >= 2; branches /= 2) {
    const ofEach = Math.floor(threads / branches);
    const used = (branches * ofEach) / threads;
    const balanced = passes / (branches * Math.ceil(passes / branches));
    if (used * balanced >= leastUse) return { branches, threads: ofEach };
  }
  return undefined;
};

/** The division for a backend; undefined for passes whose shapes differ from step to step. */
export const divisionFor =
  ({ capabilities, replayBeside }: Backend, { kind }: Pick<PassSource, "kind">) =>
  (passes: number): Division | undefined =>
    replayBeside === undefined || kind !== "windows" ? undefined : divisionOf(passes, capabilities.threads);

/** Splits passes [from, to) of a step into `branches` ranges, by halving along the tree. */
const dividedRange = (from: number, to: number, branches: number): { readonly from: number; readonly to: number }[] => {
  if (branches <= 1) return [{ from, to }];
  const middle = middleOf(from, to);
  return [...dividedRange(from, middle, branches / 2), ...dividedRange(middle, to, branches / 2)];
};

export interface PassesBeside {
  /**
   * Computes the gradients of all passes as two halves of their sum: the total of the sum, and `addend`. The halves are
   * added only when the norm is computed, so each half is read only once. Also returns the step's losses.
   * @param batches the passes, with the shapes that they had when they were recorded.
   */
  add(step: number, batches: readonly Batch[]): Promise<{ readonly losses: Losses; readonly addend: Storage }>;
  close(): void;
}

/** Inputs from a trainer. */
export interface BesideOptions {
  readonly backend: Backend;
  readonly model: Model;
  readonly sum: GradientSum;
  readonly passGradient: PassGradient;
  readonly division: Division;
  /** Number of the first pass in the step. */
  readonly firstPass: number;
}

/** A recorded pass, with memory of its own. */
interface PlacedPass {
  readonly calls: RecordedCalls;
  /** Number of the pass in the step. */
  readonly number: number;
  readonly changes: readonly Change[];
  readonly slices: readonly RecordedSlice[];
}

/** Calls that run one after another: passes and sums. */
type Branch = readonly (PlacedPass | { readonly calls: RecordedCalls; readonly number?: undefined })[];

/** Joins the calls of all branches in one array, and finds the position of each pass in it. */
const joined = (branches: readonly Branch[], { threads }: Division) => {
  const passes: { readonly pass: PlacedPass; readonly at: number }[] = [];
  const ends: number[] = [];
  let at = 0;
  for (const branch of branches) {
    for (const one of branch) {
      if (one.number !== undefined) passes.push({ pass: one, at });
      at += one.calls.numbers.length;
    }
    ends.push(at);
  }
  const all = branches.flat().map(({ calls }) => calls);
  const numbers = new Float64Array(at);
  at = 0;
  for (const calls of all) {
    numbers.set(calls.numbers, at);
    at += calls.numbers.length;
  }
  const { owner } = all[0] as RecordedCalls;
  const calls: RecordedBranches = { owner, numbers, ends, threads };
  return { calls, passes };
};

const called = <T>(value: T | undefined): T => {
  if (value === undefined) throw new Error("the backend must record calls and run them in parallel");
  return value;
};

/** Gives each branch of a step memory of its own. */
const placeBranches = (
  { backend, model, sum, division, firstPass }: BesideOptions,
  recorded: readonly RecordedPass[],
  alloc: Backend["alloc"],
) => {
  const { length } = trainedPart(model).layout;
  const spareArrays = [...sum.storages];
  const add = (to: Storage, from: Storage): void => {
    const y = { storage: to, offset: 0 };
    backend.run("add", { a: y, b: { storage: from, offset: 0 }, y, n: length });
  };

  /**
   * The array is filled with zeros, because kernels never write the gaps between tensors, but sums and norms read them.
   */
  const newArray = (): Storage => {
    const storage = alloc("float32", length);
    backend.run("fill", { y: { storage, offset: 0 }, n: length, value: 0 });
    return storage;
  };

  const placeBranch = (first: number, end: number, isFirst: boolean) => {
    const arrays = Array.from({ length: arraysOfSum(end - first) }, () => spareArrays.shift() ?? newArray());
    const arrayAt = (depth: number): Storage => arrays[depth] as Storage;
    // The first branch uses the memory in which the pass was recorded.
    const places = new Map<RecordedPass, ReadonlyMap<Storage, Storage>>();
    const placeOf = (pass: RecordedPass): ReadonlyMap<Storage, Storage> => {
      const known = places.get(pass);
      if (known !== undefined) return known;
      const place = new Map(pass.storages.map((one) => [one, isFirst ? one : alloc(one.dtype, one.length)]));
      for (const { storage, data } of pass.constants) backend.write(place.get(storage) as Storage, data);
      places.set(pass, place);
      return place;
    };
    const placed = (number: number, depth: number): PlacedPass => {
      const pass = recorded[number] as RecordedPass;
      const { calls, changes } = pass;
      const to = new Map(placeOf(pass)).set(sum.storages[0] as Storage, arrayAt(depth));
      const own = (storage: Storage): Storage => {
        const made = alloc(storage.dtype, storage.length);
        to.set(storage, made);
        return made;
      };
      const slices = pass.slices.map(({ x, y, loss }) => ({ x: own(x), y: own(y), loss: own(loss) }));
      return { calls: called(backend.moved?.(calls, to)), number: firstPass + number, changes, slices };
    };
    const branch = (from: number, to: number, depth: number): Branch => {
      if (to - from === 1) return [placed(from, depth)];
      const middle = middleOf(from, to);
      const sumUp = backend.record?.(() => add(arrayAt(depth), arrayAt(depth + 1)));
      return [...branch(from, middle, depth), ...branch(middle, to, depth + 1), { calls: called(sumUp) }];
    };
    return { calls: branch(first, end, 0), total: arrayAt(0) };
  };

  const branches = dividedRange(0, recorded.length, division.branches).map(({ from, to }, i) =>
    placeBranch(from, to, i === 0),
  );
  const totalOf = (branch: number): Storage => (branches[branch] as (typeof branches)[0]).total;
  return {
    ...joined(
      branches.map(({ calls }) => calls),
      division,
    ),
    /** Adds the branches' sums into two halves: the first branch's array, and the array that is returned. */
    addUp(): Storage {
      const half = branches.length / 2;
      for (let apart = 1; apart < half; apart *= 2)
        for (let i = 0; i + apart < branches.length; i += 2 * apart) add(totalOf(i), totalOf(i + apart));
      return totalOf(half);
    },
  };
};

/** Reads a pass's part of the losses: the sum over its slices, in order. */
const lossesOf = async (backend: Backend, { slices }: PlacedPass, targets: number): Promise<Losses> => {
  const sums = await Promise.all(slices.map(({ loss }) => backend.read(loss)));
  return sums.map((ofSlice): Losses => Array.from(ofSlice, (sum) => sum / targets)).reduce(addLosses);
};

/** Sums the passes' parts of the losses, along the same tree as their gradients. */
const summedLosses = (losses: readonly Losses[], from = 0, to = losses.length): Losses => {
  if (to - from === 1) return losses[from] as Losses;
  const middle = middleOf(from, to);
  return addLosses(summedLosses(losses, from, middle), summedLosses(losses, middle, to));
};

/**
 * Records the passes of a step and places each pass in its branch. Undefined if that needs too much memory.
 * @param batches batches of any step; all steps have batches of the same shapes.
 * @param targets number of targets of a step; equal in every step.
 */
export const createPassesBeside = async (
  options: BesideOptions,
  batches: readonly Batch[],
  targets: number,
): Promise<PassesBeside | undefined> => {
  const { backend, model, sum, passGradient, division } = options;
  const recorded = new Map<number, RecordedPass>();
  const storages: Storage[] = [];
  const alloc: Backend["alloc"] = (dtype, length) => {
    const storage = backend.alloc(dtype, length);
    storages.push(storage);
    return storage;
  };
  const close = (): void => {
    for (const storage of storages.splice(0)) backend.free(storage);
    for (const pass of recorded.values()) pass.close();
    recorded.clear();
  };
  const bytesBeside = (): number => {
    const ranges = dividedRange(0, batches.length, division.branches);
    const arrays = ranges.reduce((count, { from, to }) => count + arraysOfSum(to - from), 0) - sum.storages.length;
    const temporaries = [...recorded.values()].reduce((bytes, pass) => bytes + pass.bytes, 0);
    const { length } = trainedPart(model).layout;
    return (ranges.length - 1) * temporaries + arrays * length * bytesPerElement.float32;
  };

  try {
    for (const batch of batches) {
      if (recorded.has(batch.rows)) continue;
      recorded.set(batch.rows, await recordPass(backend, passGradient, batch, targets, sum.total));
    }
    if (bytesBeside() > mostBytes) {
      close();
      return undefined;
    }
    const rows = batches.map((batch) => batch.rows);
    const passOf = (count: number): RecordedPass => recorded.get(count) as RecordedPass;
    const { calls, passes, addUp } = placeBranches(options, rows.map(passOf), alloc);
    return {
      async add(step, given) {
        for (const [i, { pass, at }] of passes.entries()) {
          const batch = given[i];
          if (batch === undefined || batch.rows !== rows[i])
            throw new Error("the passes of every step must have the same shapes");
          checkIds(model, batch.x);
          let from = 0;
          for (const { x, y } of pass.slices) {
            backend.write(x, batch.x.subarray(from, from + x.length));
            backend.write(y, batch.y.subarray(from, from + y.length));
            from += x.length;
          }
          for (const { index, start, ofStep, ofPass } of pass.changes)
            calls.numbers[at + index] = start + step * ofStep + pass.number * ofPass;
        }
        backend.replayBeside?.(calls);
        const addend = addUp();
        const losses = await Promise.all(passes.map(({ pass }) => lossesOf(backend, pass, targets)));
        return { losses: summedLosses(losses), addend };
      },
      close,
    };
  } catch (error) {
    close();
    if (error instanceof ConfigError) return undefined;
    throw error;
  }
};
