/** The module of a worker thread that plans runs, because reading a long text takes seconds. */
import { serveThread } from "../core/remote/worker.node.ts";
import { type PlannedRun, type PlanOptions, planRun } from "../train/plan.node.ts";

serveThread({
  async *plan(options: PlanOptions): AsyncGenerator<PlannedRun, void> {
    yield await planRun(options);
  },
});
