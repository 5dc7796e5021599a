/** Rollback points: the state of the last planned checkpoint, or the run's first state. */
import { CheckpointError } from "../../core/errors/errors.ts";
import type { RollbackPoint, RollbackStore } from "../../runs/store.ts";
import { readSnapshot } from "../../trainer/state.ts";
import type { Trainer } from "../../trainer/trainer.ts";

/** Step of the last planned checkpoint at or before `step`; 0 if there is none. */
const plannedBefore = (step: number, checkpointInterval: number): number => step - (step % checkpointInterval);

/**
 * Rollback points of a run with onNonfinite "rollback". The step alone determines the point, so an interrupted run and
 * an uninterrupted run roll back to the same point. A checkpoint does not count if it was written only because the run
 * was stopped.
 */
export const createRollback = (
  trainer: Trainer,
  { checkpointInterval }: { readonly checkpointInterval: number },
  store: RollbackStore | null,
  drawn = true,
) => {
  // The point in memory; used when there is no store.
  let kept: RollbackPoint | null = null;
  return {
    /** Keeps the current state; called at a planned checkpoint. */
    async keep(step: number): Promise<void> {
      const point = { step, arrays: await readSnapshot(trainer.snapshot()) };
      if (store?.saveRollback === undefined) kept = point;
      else await store.saveRollback(point);
    },
    /** Rolls back to the last point at or before `step` updates. @throws CheckpointError if the point is missing. */
    async goBack(step: number): Promise<void> {
      const planned = plannedBefore(step, checkpointInterval);
      if (planned === 0 && drawn) return trainer.restore(null);
      const point = store?.readRollback === undefined ? kept : await store.readRollback();
      if (point?.step === planned) return trainer.restore(point.arrays);
      throw new CheckpointError({
        where: `step ${step + 1}`,
        must: `weights and moments of step ${planned} must be stored, to roll back to them`,
        got: point === null ? "none" : `weights and moments of step ${point.step}`,
        hint: "resuming with train.onNonfinite skip or stop",
      });
    },
  };
};
export type Rollback = ReturnType<typeof createRollback>;
