/** Saving a run. */
import { CheckpointError } from "../../core/errors/errors.ts";
import { systemErrorCode } from "../../core/errors/system-error.ts";
import { type CheckpointEvent, eventVersion as v } from "../../runs/events.ts";
import { checkHealth } from "../faults/leave-out.ts";
import { note, type Running } from "./running.ts";

/**
 * Writes a checkpoint of the current state, at most once per step. @throws ConfigError if a weight or a moment is not
 * finite.
 */
export async function* save(run: Running): AsyncGenerator<CheckpointEvent, void, undefined> {
  const { input, trainer, position } = run;
  const { progress } = position;
  const { step } = progress;
  if (input.store === null || position.savedAt === step) return;
  await checkHealth(trainer, step);
  const path = await input.store.saveCheckpoint({ progress, ...trainer.snapshot() });
  position.saved();
  yield await note(input, { v, type: "checkpoint", step, path });
}

/** Writes the planned checkpoint and the rollback point if they are due at this step. */
export async function* savePlanned(run: Running): AsyncGenerator<CheckpointEvent, void, undefined> {
  const { steps, checkpointInterval } = run.input.config.train;
  const { step } = run.position.progress;
  if (step % checkpointInterval !== 0 || step === steps) return;
  yield* save(run);
  await run.rollback?.keep(step);
}

/**
 * The error with which a run ends. If the store failed, the trained weights are saved first, in another place if
 * necessary. A team cannot do that, because its first machine cannot read the whole state alone.
 */
export const savedInNeed = async (
  { input, trainer, position, firstStep }: Running,
  error: unknown,
): Promise<unknown> => {
  const { store, team } = input;
  const { progress, savedAt } = position;
  const isOfStore = error instanceof CheckpointError || systemErrorCode(error) !== undefined;
  const isNew = progress.step > firstStep && progress.step !== savedAt;
  if (!isOfStore || store?.saveInNeed === undefined || team.size > 1 || !isNew) return error;
  try {
    await checkHealth(trainer, progress.step);
    return (await store.saveInNeed({ progress, ...trainer.snapshot() })) ?? error;
  } catch {
    return error;
  }
};
