import { takeThread } from "../core/remote/worker.node.ts";
import type { PlannedRun, PlanOptions } from "../train/plan.node.ts";
import { workerEntries } from "./entries.node.ts";

/** Runs `planRun` in its own thread. @throws the errors of `planRun`. */
export const planInWorker = async (options: PlanOptions): Promise<PlannedRun> => {
  const thread = takeThread(workerEntries.plan);
  try {
    let planned: unknown;
    for await (const event of thread.call("plan", options)) planned = event;
    return planned as PlannedRun;
  } finally {
    thread.release();
  }
};
