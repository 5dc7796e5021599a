/** The module of a worker thread that plans runs and times steps, because both take seconds. */
import { serveThread } from "../core/remote/worker.node.ts";
import { type PlannedRun, type PlanOptions, planRun } from "../train/plan.node.ts";
import { type StepTime, type TimedModel, timeSteps } from "../train/step-time.node.ts";

serveThread({
  async *plan(options: PlanOptions): AsyncGenerator<PlannedRun, void> {
    yield await planRun(options);
  },
  async *time(model: TimedModel, { signal }): AsyncGenerator<StepTime, void> {
    yield await timeSteps(model, signal);
  },
});
