/** States that a run goes back to: that of the last planned checkpoint, or the one that it began with. */
import { CheckpointError } from "../../core/errors.ts";
import { readSnapshot, type StateArrays } from "../steps/state.ts";
import type { Trainer } from "../steps/trainer.ts";

/** A trainer's state after `step` updates. */
export interface RollbackPoint {
  readonly step: number;
  readonly arrays: StateArrays;
}

/** Where a point is kept, in place of the one before. */
export interface RollbackStore {
  saveRollback?(point: RollbackPoint): Promise<void>;
  /** null: there is none. */
  readRollback?(): Promise<RollbackPoint | null>;
}

/** The last step of the plan's checkpoints up to `step`; 0: there is none yet. */
const plannedBefore = (step: number, checkpointInterval: number): number => step - (step % checkpointInterval);

/**
 * What a run with onNonfinite "rollback" goes back to. Which one that is depends on the step alone, so an interrupted and
 * an uninterrupted run go back to the same: a checkpoint that was written because the run was stopped does not count.
 */
export const createRollback = (
  trainer: Trainer,
  { checkpointInterval }: { readonly checkpointInterval: number },
  store: RollbackStore | null,
) => {
  // Where there is no store for it, in memory.
  let kept: RollbackPoint | null = null;
  return {
    /** Keeps the state as it is: that of a planned checkpoint. */
    async keep(step: number): Promise<void> {
      const point = { step, arrays: await readSnapshot(trainer.snapshot()) };
      if (store?.saveRollback === undefined) kept = point;
      else await store.saveRollback(point);
    },
    /** Goes back to the last point at or before `step` updates. @throws CheckpointError where it is gone. */
    async goBack(step: number): Promise<void> {
      const planned = plannedBefore(step, checkpointInterval);
      if (planned === 0) return trainer.restore(null);
      const point = store?.readRollback === undefined ? kept : await store.readRollback();
      if (point?.step === planned) return trainer.restore(point.arrays);
      throw new CheckpointError({
        where: `step ${step + 1}`,
        must: `weights and moments of step ${planned} must be there to go back to`,
        got: point === null ? "none" : `those of step ${point.step}`,
        hint: "resuming with train.onNonfinite skip or stop",
      });
    },
  };
};
export type Rollback = ReturnType<typeof createRollback>;
