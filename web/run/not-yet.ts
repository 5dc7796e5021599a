/** Says when a value that a run does not have yet will be there. */
import type { RunSummary } from "../../src/serve/studio/protocol.ts";
import { count } from "../parts/format.ts";
import { isLive } from "../parts/state-words.ts";

type Planned = Pick<RunSummary, "step" | "steps" | "config" | "initFrom">;

/** Step of the first evaluation of a run that has no evaluation yet. */
export const firstEvaluation = ({ step, steps, config: { train } }: Planned): number =>
  Math.min(steps, Math.max(1, Math.ceil(step / train.evalInterval)) * train.evalInterval);

/** Note for a missing result of the first evaluation. */
export const notMeasured = (run: RunSummary): string => {
  if (!isLive(run)) return "never measured";
  // A model that is already trained is evaluated before the first step.
  return run.initFrom !== null && run.step === 0
    ? "before the first step"
    : `first at step ${count(firstEvaluation(run))}`;
};

/** Loss of a model that has learned nothing yet, in nats per token. Undefined if the model is already trained. */
export const untrainedLoss = ({
  initFrom,
  vocabSize,
}: Pick<RunSummary, "initFrom" | "vocabSize">): number | undefined =>
  initFrom !== null || vocabSize === null ? undefined : Math.log(vocabSize);
