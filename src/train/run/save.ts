/** Saving a run. */
import { type CheckpointEvent, eventVersion as v } from "../events.ts";
import { checkHealth } from "../faults/leave-out.ts";
import { note, type RunState } from "./run-state.ts";

/**
 * Writes a checkpoint of the current state, once per step. @throws ConfigError if a weight or a moment is not finite.
 */
export async function* save(run: RunState): AsyncGenerator<CheckpointEvent, void, undefined> {
  const { input, trainer, progress } = run;
  const { step } = progress;
  if (input.store === null || run.savedAt === step) return;
  await checkHealth(trainer, step);
  const path = await input.store.saveCheckpoint({ progress, ...trainer.snapshot() });
  run.savedAt = step;
  yield await note(input, { v, type: "checkpoint", step, path });
}

/** Writes the planned checkpoint and the rollback point, if they are due at this step. */
export async function* savePlanned(run: RunState): AsyncGenerator<CheckpointEvent, void, undefined> {
  const { steps, checkpointInterval } = run.input.config.train;
  const { step } = run.progress;
  if (step % checkpointInterval !== 0 || step === steps) return;
  yield* save(run);
  await run.rollback?.keep(step);
}
