/** Training in a thread of its own: what Node and browsers have in common. */
import { checkOptions } from "../core/check-arguments.ts";
import { ConfigError } from "../core/errors.ts";
import type { CallOptions } from "../core/remote/caller.ts";
import type { WorkerThread } from "../core/remote/pool.ts";
import { show } from "../core/show.ts";
import type { TrainEvent } from "../train/events.ts";

/** Whether a thread can be sent it. */
export const isCloneable = (value: unknown): boolean => {
  // A text would be copied, and may be long.
  if (typeof value === "string") return true;
  try {
    structuredClone(value);
    return true;
  } catch {
    return false;
  }
};

/** @throws ConfigError for options that are none, or where `worker` is not true or false. */
export const splitWorker = <Options extends object>(
  options: Options,
  byDefault: boolean,
): { readonly worker: boolean; readonly rest: Options } => {
  checkOptions("train: options", options);
  const { worker = byDefault, ...rest } = options as Options & { readonly worker?: boolean | undefined };
  if (typeof worker !== "boolean") {
    throw new ConfigError({ where: "train: worker", must: "must be true or false", got: show(worker) });
  }
  return { worker, rest: rest as unknown as Options };
};

/** Whether a thread can be sent all of it. What it cannot, as a function in a configuration, the checks on this one name. */
export const canSend = (args: Readonly<Record<string, unknown>>): boolean =>
  typeof (args.backend ?? "") === "string" && Object.values(args).every(isCloneable);

/** Trains in a thread, which is given back at the end. */
export async function* trainIn(
  thread: WorkerThread,
  args: object,
  options: CallOptions,
): AsyncGenerator<TrainEvent, void, undefined> {
  try {
    yield* thread.call("train", args, options) as AsyncGenerator<TrainEvent, void, undefined>;
  } finally {
    thread.release();
  }
}
