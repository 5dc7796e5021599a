import type { StartEvent, TrainEvent } from "../../../runs/events.ts";

/** Names of the work between steps. */
const words = {
  measuring: "measuring on the validation text",
  writing: "writing a sample",
  saving: "saving",
  making: "running the missed evaluation",
} as const;

/** Whether the run saves after `step`: at a checkpoint interval, or at its end. */
const savesAfter = ({ config: { train }, out }: StartEvent, step: number): boolean =>
  out !== null && (step >= train.steps || step % train.checkpointInterval === 0);

/**
 * The work between an event and the next step. Undefined if this work is unknown.
 * @param stopping whether the run was asked to stop.
 */
export const activityAfter = (start: StartEvent, event: TrainEvent, stopping: boolean): string | undefined => {
  const { steps, evalInterval, sampleTokens } = start.config.train;
  const saving = (step: number): string | undefined => (savesAfter(start, step) ? words.saving : undefined);
  switch (event.type) {
    case "start":
      return event.step >= steps ? words.making : undefined;
    case "step":
      if (stopping) return words.saving;
      return event.step % evalInterval === 0 || event.step >= steps ? words.measuring : saving(event.step);
    case "eval":
      if (event.reason === "begin") return undefined;
      return event.reason === "end" || sampleTokens > 0 ? words.writing : saving(event.step);
    case "sample":
      return saving(event.step);
    default:
      return undefined;
  }
};
