/** Weights and moments that a run goes back to: those of the last planned checkpoint, or those that it began with. */
import { readTensor } from "../autograd/tensor.ts";
import type { Backend } from "../backend/backend.ts";
import { CheckpointError } from "../core/errors.ts";
import { type Arena, initialise } from "../models/arena.ts";
import type { Trainer } from "./trainer.ts";

/** Weights and moments after `step` updates, each in the layout of `modelLayout`. */
export interface RollbackPoint {
  readonly step: number;
  readonly values: Float32Array;
  readonly m: Float32Array;
  readonly v: Float32Array;
}

/** Where a point is kept, in place of the one before. */
export interface RollbackStore {
  saveRollback?(point: RollbackPoint): Promise<void>;
  /** null: there is none. */
  readRollback?(): Promise<RollbackPoint | null>;
}

/** The last step of the plan's checkpoints up to `step`; 0: there is none yet. */
const plannedBefore = (step: number, checkpointInterval: number): number => step - (step % checkpointInterval);

/** An arena's elements on the host. */
export const readArena = async (backend: Backend, { storage }: Arena): Promise<Float32Array> => {
  const values = await readTensor(backend, { storage, offset: 0, shape: [storage.length] });
  return values instanceof Float32Array ? values : Float32Array.from(values);
};

/**
 * What a run with onNonfinite "rollback" goes back to. Which one that is depends on the step alone, so an interrupted and
 * an uninterrupted run go back to the same: a checkpoint that was written because the run was stopped does not count.
 */
export const createRollback = (
  backend: Backend,
  { model, optimizer, replaced }: Trainer,
  { seed, checkpointInterval }: { readonly seed: number; readonly checkpointInterval: number },
  store: RollbackStore | null,
) => {
  const { arena, layout } = model;
  const { m, v } = optimizer.moments;
  // Where there is no store for it, in memory.
  let kept: RollbackPoint | null = null;

  const restore = (point: RollbackPoint | null): void => {
    const all = [arena, m, v];
    if (point === null) {
      for (const { storage } of all) backend.run("fill", { y: { storage, offset: 0 }, n: layout.length, value: 0 });
      initialise(backend, layout, arena, seed);
    } else {
      for (const [i, values] of [point.values, point.m, point.v].entries())
        backend.write((all[i] as Arena).storage, values);
    }
    replaced();
  };

  return {
    /** Keeps weights and moments as they are: those of a planned checkpoint. */
    async keep(step: number): Promise<void> {
      const point = {
        step,
        values: await readArena(backend, arena),
        m: await readArena(backend, m),
        v: await readArena(backend, v),
      };
      if (store?.saveRollback === undefined) kept = point;
      else await store.saveRollback(point);
    },
    /** Goes back to the last point at or before `step` updates. @throws CheckpointError where it is gone. */
    async goBack(step: number): Promise<void> {
      const planned = plannedBefore(step, checkpointInterval);
      if (planned === 0) return restore(null);
      const point = store?.readRollback === undefined ? kept : await store.readRollback();
      if (point?.step === planned) return restore(point);
      throw new CheckpointError({
        where: `step ${step + 1}`,
        must: `weights and moments of step ${planned} must be there to go back to`,
        got: point === null ? "none" : `those of step ${point.step}`,
        hint: "resuming with train.onNonfinite skip or stop",
      });
    },
  };
};
