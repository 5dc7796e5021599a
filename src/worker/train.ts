/** Training in its own thread. Node and browsers share this code. */
import { checkOptions } from "../core/checks/check-arguments.ts";
import { ConfigError } from "../core/errors/errors.ts";
import type { CallOptions } from "../core/remote/caller.ts";
import type { WorkerThread } from "../core/remote/pool.ts";
import type { CallContext } from "../core/remote/server.ts";
import { show } from "../core/text/show.ts";
import type { TrainEvent } from "../runs/events.ts";
import { isFiles } from "../runs/resume/given-run.ts";
import type { HandOut, OnAdapter, OnCheckpoint } from "../train/run/callbacks.ts";

/** Whether a value can be sent to a thread. */
export const isCloneable = (value: unknown): boolean => {
  // `structuredClone` is not tried, because it would copy texts and files, which may be large.
  if (typeof value === "string" || isFiles(value)) return true;
  try {
    structuredClone(value);
    return true;
  } catch {
    return false;
  }
};

/** @throws ConfigError if `options` is not an object, or `worker` is not a boolean. */
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

/**
 * Whether all options can be sent. If not, the checks on this thread name the option that cannot be sent, such as a
 * function.
 */
export const canSend = (args: Readonly<Record<string, unknown>>): boolean =>
  typeof (args.backend ?? "") === "string" && Object.values(args).every(isCloneable);

/** The callbacks that receive checkpoints, for `trainIn`. */
export const handOutCallbacks = ({ onCheckpoint, onAdapter }: HandOut) => ({
  onCheckpoint: (...given: Parameters<OnCheckpoint>) => onCheckpoint?.(...given),
  onAdapter: (...given: Parameters<OnAdapter>) => onAdapter?.(...given),
});

/** The callback for the thread, if the caller gave one. */
export const handOutOf = (name: keyof HandOut | null, ask: CallContext["ask"]): HandOut =>
  name === null ? {} : { [name]: (files: unknown, which: string): Promise<void> => ask(name, files, which) };

/** Whether `signal` aborts before the promise `work` is settled. */
const isAbortedBefore = (work: Promise<unknown>, signal: AbortSignal | undefined): Promise<boolean> =>
  new Promise((resolve) => {
    const abort = (): void => resolve(true);
    signal?.addEventListener("abort", abort);
    const settled = (): void => {
      signal?.removeEventListener("abort", abort);
      resolve(false);
    };
    work.then(settled, settled);
  });

/**
 * Trains in `thread`, and releases the thread at the end.
 * @param leaves whether to return at once if the run is stopped before its first event. Nothing has been saved at this
 * time, but reading a large text can take many more seconds. The thread later ends by itself.
 */
export async function* trainIn(
  thread: WorkerThread,
  args: object,
  options: CallOptions,
  leaves = true,
): AsyncGenerator<TrainEvent, void, undefined> {
  const { signal } = options;
  const events = thread.call("train", args, options) as AsyncGenerator<TrainEvent, void, undefined>;
  const first = events.next();
  if (leaves && (await isAbortedBefore(first, signal))) {
    thread.leave();
    const end = async (): Promise<void> => {
      if ((await first).done !== true) await events.return();
    };
    void end()
      .catch(() => undefined)
      .finally(() => thread.release());
    throw signal?.reason;
  }
  try {
    for (let event = await first; event.done !== true; event = await events.next()) yield event.value;
  } finally {
    await events.return();
    thread.release();
  }
}
