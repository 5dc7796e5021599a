import { takeThread } from "../core/remote/worker.node.ts";
import type { PlannedRun, PlanOptions } from "../train/plan.node.ts";
import type { StepTime, TimedModel } from "../train/step-time.node.ts";
import { workerEntries } from "./entries.node.ts";

export type { PlannedRun, StepTime };

/** Calls a method with one result. */
const callPlan = async (method: "plan" | "time", args: unknown, signal?: AbortSignal): Promise<unknown> => {
  const thread = takeThread(workerEntries.plan);
  try {
    let result: unknown;
    for await (const event of thread.call(method, args, { signal })) result = event;
    return result;
  } finally {
    thread.release();
  }
};

/** Runs `planRun` in its own thread. @throws the errors of `planRun`. */
export const planInWorker = async (options: PlanOptions): Promise<PlannedRun> =>
  (await callPlan("plan", options)) as PlannedRun;

/** Runs `timeSteps` in its own thread. @throws the errors of `timeSteps`. */
export const timeInWorker = async (model: TimedModel, signal: AbortSignal): Promise<StepTime> =>
  (await callPlan("time", model, signal)) as StepTime;
