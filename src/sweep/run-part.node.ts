/** Trains a run of a sweep up to a step, and reads its notes. */
import { stat } from "node:fs/promises";
import { join } from "node:path";
import type { RunConfig } from "../config/config.ts";
import type { PartialConfig } from "../config/merge.ts";
import type { PresetName } from "../config/presets.ts";
import { CheckpointError, ConfigError } from "../core/errors/errors.ts";
import { quoteWord } from "../core/text/shell-word.ts";
import { readJsonLines } from "../io/jsonl.node.ts";
import { readRunDescription } from "../runs/description.node.ts";
import { folderNames } from "../runs/folder-names.ts";
import { parseNoted } from "../runs/noted-events.ts";
import { type TrainOptions, train } from "../worker/train.node.ts";
import type { SweepTexts } from "./folder.node.ts";
import type { Part } from "./schedule.ts";

/** State of a run, from its notes. */
export interface NotedRun {
  /** Loss of each evaluation, nats per character, with its step. */
  readonly losses: readonly { readonly step: number; readonly loss: number }[];
  /** Whether the run has ended: it finished, or stopped early for lack of progress. */
  readonly ended: boolean;
  /** Steps done so far. */
  readonly step: number;
}

/** A run that has not begun. */
export const unbegun: NotedRun = { losses: [], ended: false, step: 0 };

const isThere = (path: string): Promise<boolean> =>
  stat(path).then(
    ({ size }) => size > 0,
    () => false,
  );

/** Reads the notes of a run; empty if the run has not begun. */
export const readNoted = async (path: string): Promise<NotedRun> => {
  const notes = join(path, folderNames.metrics);
  const losses: { step: number; loss: number }[] = [];
  let [ended, step] = [false, 0];
  if (!(await isThere(notes))) return { losses, ended, step };
  for await (const line of readJsonLines(notes)) {
    const event = parseNoted(line);
    if (event === undefined) continue;
    if (event.type === "eval") losses.push({ step: event.step, loss: event.natsPerCharacter });
    if (event.type === "done") ended = event.reason !== "interrupted";
    if (event.type === "step" || event.type === "eval" || event.type === "done") step = event.step;
  }
  return { losses, ended, step };
};

/** Whether the run has been trained and evaluated up to the end of a part. */
export const isDone = ({ losses, ended, step }: NotedRun, { until }: Pick<Part, "until">, steps: number): boolean =>
  ended ? step >= until || step < steps : until < steps && losses.some((one) => one.step >= until);

/** Lowest loss up to a step. */
export const lossUntil = ({ losses }: NotedRun, until: number): number =>
  Math.min(...losses.filter(({ step }) => step <= until).map(({ loss }) => loss));

/**
 * Checks that a run is still as the sweep began it: somebody may have trained it further, or a teacher may have changed
 * just before it began. A run that has not begun is fine.
 * @param teachers the hashes of the sweep's teachers.
 * @returns whether the run has begun.
 * @throws CheckpointError otherwise.
 */
export const checkOwn = async (
  path: string,
  { steps, teachers }: Pick<PartPlan, "steps" | "teachers">,
): Promise<boolean> => {
  if (!(await isThere(join(path, folderNames.description)))) return false;
  const { config, data } = await readRunDescription(path);
  const own = (data.teachers ?? []).map(({ sha256 }) => sha256);
  const isTaught = JSON.stringify(own) === JSON.stringify(teachers);
  if (config.train.steps === steps && isTaught) return true;
  throw new CheckpointError({
    where: `sweep: ${path}`,
    must: isTaught
      ? `the run must have ${steps} steps, as the sweep planned it`
      : "the run must learn from the sweep's teachers",
    got: isTaught ? `${config.train.steps} steps` : "another teacher (its SHA-256 differs)",
    hint: `deleting ${quoteWord(path)}; the same command then trains this run again`,
  });
};

/** Input for training a part of a run. */
export interface PartPlan {
  /** Its folder. */
  readonly path: string;
  readonly texts: SweepTexts;
  readonly preset: PresetName | undefined;
  /** Models from which the run learns. */
  readonly teacher: string | readonly string[] | undefined;
  /** Their hashes. */
  readonly teachers: readonly string[];
  readonly config: PartialConfig<RunConfig>;
  /** Total steps of the run. */
  readonly steps: number;
  readonly until: number;
}

/** Options for how runs are computed. */
export interface SweepRunning {
  /** Name of the backend. Default "auto". */
  readonly backend?: "auto" | "native" | "wasm" | "reference" | undefined;
  /** Number of threads for each run. Default: all cores. */
  readonly threads?: number | undefined;
  /** When aborted, the current runs are saved and the sweep stops. Default: none. */
  readonly signal?: AbortSignal | undefined;
  /** Called with each notice for the user. If the same notice comes again, there is no second call. Default: none. */
  readonly onNotice?: ((line: string) => void) | undefined;
}

/** How the training of a part ended. `failed`: a step was not finite. */
export type PartEnd =
  | { readonly kind: "done" | "interrupted"; readonly steps: number; readonly seconds: number }
  | { readonly kind: "failed"; readonly reason: string };

/**
 * Trains a run from its current step up to `until`.
 * @throws like `train`; but a step whose numbers are not finite ends the run without an error.
 */
export const trainPart = async (plan: PartPlan, running: SweepRunning): Promise<PartEnd> => {
  const { path, texts, preset, teacher, teachers, config, steps, until } = plan;
  const { backend, threads, signal, onNotice } = running;
  const how = {
    ...{ data: texts.train, valData: texts.choose, threads },
    ...(backend === undefined ? {} : { backend }),
    ...(onNotice === undefined ? {} : { onNotice }),
    ...(until < steps ? { stopAt: until } : {}),
    ...(signal === undefined ? {} : { signal }),
  };
  const description = join(path, folderNames.description);
  const isBegun = await isThere(description);
  const options: TrainOptions = isBegun
    ? { resume: path, ...how }
    : { out: path, preset, teacher, config, finalSampleTokens: 0, ...how };
  const began = performance.now();
  let [started, isChecked] = [false, false];
  let [from, step] = [0, 0];
  try {
    for await (const event of train(options)) {
      if (event.type === "start") [started, from] = [true, event.step];
      // The description of a new run is written after the first step.
      if (!isChecked) isChecked = await checkOwn(path, { steps, teachers });
      if (event.type === "step" || event.type === "done") ({ step } = event);
    }
  } catch (error) {
    if (signal?.aborted === true) return { kind: "interrupted", steps: step - from, seconds: 0 };
    // Another process has begun this run just now. Resuming tells which one.
    if (!started && !isBegun && (await isThere(description))) return trainPart(plan, running);
    // All input was checked before the start, so this error means a step that is not finite.
    if (started && error instanceof ConfigError) return { kind: "failed", reason: error.message };
    throw error;
  }
  const seconds = (performance.now() - began) / 1000;
  return { kind: signal?.aborted === true ? "interrupted" : "done", steps: step - from, seconds };
};
