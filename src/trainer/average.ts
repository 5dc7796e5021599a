/**
 * Averages of a trainer's weights, in the backend's memory. They are float32, like the weights. Training only reads the
 * weights for them, so a run with an average has the same weights and losses as a run without one.
 *
 * `ema`: after the t-th averaged step, average ← d·average + (1 − d)·weights with d = min(decay, (1 + t) / (10 + t)),
 * the warm-up of TensorFlow's ExponentialMovingAverage; the first average is the weights themselves. Without the
 * warm-up, the first weights would dominate for 1 / (1 − decay) steps.
 *
 * `last-k`: the mean of the weights at the last evaluations, up to `count` of them. The copies are part of the state,
 * so a resumed run has the same mean.
 */
import type { Backend, Storage, View } from "../backend/backend.ts";
import { allocateAll } from "../backend/memory/allocate-all.ts";
import type { AverageConfig } from "../config/average.ts";
import { arenaReader, type ReadValues } from "../models/arena.ts";
import { type Model, trainedPart } from "../models/model.ts";
import { averageLayouts, copiesOf } from "./average-layouts.ts";
import type { StateArrays, StatePart } from "./state.ts";

/** Number of elements that are exchanged at a time. */
const exchangedAtATime = 2 ** 20;

/** An average of a trainer's weights. */
export interface WeightAverage {
  /** The arrays of the average, for a checkpoint or a rollback. */
  readonly state: readonly StatePart[];
  /** Call after each update of the weights. */
  updated(): void;
  /**
   * Does `work` while the model has the averaged weights; then the model has its own weights again, with the same bits.
   * Do not train meanwhile. With `last-k`, the weights of this step count from now on.
   * @param step number of updates done, at least 1. A repeated call for a step changes nothing.
   */
  during<T>(step: number, work: () => Promise<T>): Promise<T>;
  /** Restores the state from its arrays; null: no step is averaged yet. */
  restore(arrays: StateArrays | null): void;
  close(): void;
}

/** The parts that differ between the kinds of averages. */
interface Kind {
  updated(counts: Float32Array): void;
  /** Puts the average into the weights; returns the function that puts the weights back. */
  lend(counts: Float32Array, step: number): () => void;
}

const at = (storage: Storage, offset = 0): View => ({ storage, offset });

const copying =
  (backend: Backend) =>
  (x: View, y: View, n: number): void =>
    backend.run("copyRows", { x, y, rows: 1, width: n, xStride: n, yStride: n });

const createEma = (backend: Backend, weights: Storage, average: Storage, spare: Storage, decay: number): Kind => {
  const n = weights.length;
  const copy = copying(backend);
  const exchange = (): void => {
    for (let from = 0; from < n; from += spare.length) {
      const size = Math.min(spare.length, n - from);
      copy(at(weights, from), at(spare), size);
      copy(at(average, from), at(weights, from), size);
      copy(at(spare), at(average, from), size);
    }
  };
  return {
    updated(counts) {
      const t = (counts[0] ?? 0) + 1;
      counts[0] = t;
      if (t === 1) return copy(at(weights), at(average), n);
      const alpha = emaDecay(decay, t);
      const both = { a: at(average), b: at(weights), y: at(average), unreal: null };
      backend.run("combine", { ...both, n, alpha, beta: 1 - alpha });
    },
    lend() {
      exchange();
      return exchange;
    },
  };
};

/**
 * Weight d of the old average after the averaged step `t`, counted from 1. It is rounded to float32, so that 1 − d is
 * exact: if the two weights did not add up to 1, the average would be off by their error times 1 / (1 − d).
 */
export const emaDecay = (decay: number, t: number): number =>
  t === 1 ? 0 : Math.fround(Math.min(decay, (1 + t) / (10 + t)));

const createLastK = (backend: Backend, weights: Storage, copies: readonly Storage[]): Kind => {
  const n = weights.length;
  const copy = copying(backend);
  return {
    updated() {},
    lend(counts, step) {
      let place = counts.indexOf(step);
      if (place === -1) {
        // The oldest copy makes room. An unused place has step 0.
        place = counts.indexOf(Math.min(...counts));
        copy(at(weights), at(copies[place] as Storage), n);
        counts[place] = step;
      }
      const own = copies[place] as Storage;
      // The sum has a fixed order, from the oldest copy to the newest, so its bits do not depend on the places.
      const order = Array.from(counts, (step, i) => ({ step, copy: copies[i] as Storage }))
        .filter(({ step }) => step > 0)
        .sort((one, other) => one.step - other.step);
      const beta = 1 / order.length;
      for (const [i, { copy: one }] of order.entries()) {
        const [a, alpha] = i === 0 ? [at(one), 0] : [at(weights), 1];
        backend.run("combine", { a, b: at(one), y: at(weights), unreal: null, n, alpha, beta });
      }
      return () => copy(at(own), at(weights), n);
    },
  };
};

/** Creates the average of a model's trained weights, or of its adapters' weights, with no step averaged yet. */
export const createAverage = (backend: Backend, model: Model, config: AverageConfig): WeightAverage => {
  const { layout, arena } = trainedPart(model);
  const layouts = averageLayouts(layout, config);
  const isEma = config.kind === "ema";
  const lengths = Array.from({ length: copiesOf(config) }, () => layout.length);
  const storages = allocateAll(
    backend,
    "float32",
    isEma ? [...lengths, Math.min(layout.length, exchangedAtATime)] : lengths,
  );
  const copies = storages.slice(0, lengths.length);
  const counts = new Float32Array(layouts.at(-1)?.layout.length ?? 0);
  const own = counts.subarray(0, copies.length);
  const [first, spare] = storages as readonly [Storage, Storage];
  const kind = isEma
    ? createEma(backend, arena.storage, first, spare, config.decay)
    : createLastK(backend, arena.storage, copies);

  const restore = (arrays: StateArrays | null): void => {
    for (const [i, { name }] of layouts.entries()) {
      const values = arrays?.get(name);
      if (arrays !== null && values === undefined) throw new Error(`a state must have ${name}`);
      const copy = copies[i];
      if (copy === undefined) counts.set(values ?? new Float32Array(counts.length));
      else if (values !== undefined) backend.write(copy, values);
      else backend.run("fill", { y: at(copy), n: copy.length, value: 0 });
    }
  };
  restore(null);
  return {
    state: layouts.map((part, i) => {
      const storage = copies[i];
      // The counters are copied when they are read, because they change with the next step.
      const ofCounts: ReadValues = async (offset, size) => counts.slice(offset, offset + size);
      return { ...part, read: storage === undefined ? ofCounts : arenaReader(backend, { storage }) };
    }),
    updated: () => kind.updated(own),
    async during(step, work) {
      const putBack = kind.lend(own, step);
      model.weightsChanged();
      try {
        return await work();
      } finally {
        putBack();
        model.weightsChanged();
      }
    },
    restore,
    close() {
      for (const storage of storages) backend.free(storage);
    },
  };
};
