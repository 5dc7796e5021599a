/** Reads the numbers of a run from its event log, as columns for curves. */
import { join } from "node:path";
import { isRecord } from "../../core/checks/is-record.ts";
import { isEvalAtStop } from "../../io/first-form.node.ts";
import { parseLine } from "../../io/json-line.ts";
import { readWholeLines } from "../../io/jsonl.node.ts";
import { folderNames } from "../folder-names.ts";
import { type StepColumns, thinSteps } from "./thin-steps.ts";

/** The numbers of a run. The columns of `steps` have equal length. Index i of each column belongs to the same step. */
export interface RunColumns {
  /** Number of bytes of the log that were read, up to the end of the last complete line. */
  readonly offset: number;
  /** The updates, in ascending order of steps. Losses are in nats per token. */
  readonly steps: {
    step: number[];
    loss: number[];
    learningRate: number[];
    gradNorm: number[];
    tokensPerSecond: number[];
  };
  /** The evaluations, in ascending order of steps. */
  readonly evals: {
    step: number[];
    valLoss: number[];
    trainLoss: (number | null)[];
    natsPerCharacter: number[];
    bitsPerByte: number[];
    /** Losses of averaged weights; null at evaluations without them. Absent if the run has none. */
    averagedLoss?: (number | null)[];
  };
  /** The samples, in ascending order of steps. */
  readonly samples: { step: number; prompt: string; text: string }[];
  /** Steps that were skipped because they were not finite or exploded. */
  readonly leftOut: number[];
  /** Number of validation tokens; null if it is not logged. */
  readonly valTokens: number | null;
  /** Whether the run learns conversations. In each sample, the model then answers the prompt. */
  readonly chat: boolean;
  /** The backend that computed the last steps, and the number of its threads; null if they are not logged. */
  readonly computedBy: { readonly backend: string; readonly threads: number } | null;
  /**
   * Present only if the steps were thinned. For each remaining step, the sum of 1 / `tokensPerSecond` over all steps up
   * to this step.
   */
  readonly thinned: { readonly time: number[] } | null;
}

/** The series during reading. */
interface Reading extends Omit<RunColumns, "offset" | "steps" | "thinned" | "valTokens" | "chat" | "computedBy"> {
  readonly steps: StepColumns;
  valTokens: number | null;
  chat: boolean;
  computedBy: RunColumns["computedBy"];
}

type Line = Readonly<Record<string, unknown>>;

// Lines are not checked with a schema: a run may have millions of lines, so the checks would take more time than all
// other work.
const isNumber = (value: unknown): value is number => typeof value === "number" && Number.isFinite(value);
const isStep = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

/** Number of elements of `steps` (ascending) that are less than `step`. */
const countBefore = (steps: readonly number[], step: number): number => {
  let count = steps.length;
  while (count > 0 && (steps[count - 1] as number) >= step) count--;
  return count;
};

const cut = (columns: Reading["steps"] | Reading["evals"], count: number): void => {
  for (const column of Object.values(columns) as unknown[][]) column.length = count;
};

/**
 * Minimum plausible number of tokens per second. A slower step counts as a step without a time, because its time would
 * make all later times infinite.
 */
const slowest = 1e-9;

const takeStep = ({ steps }: Reading, { step, loss, learningRate, gradNorm, tokensPerSecond }: Line): void => {
  if (!isStep(step) || !isNumber(loss) || !isNumber(learningRate)) return;
  if (!isNumber(gradNorm) || !isNumber(tokensPerSecond)) return;
  steps.step.push(step);
  steps.loss.push(loss);
  steps.learningRate.push(learningRate);
  steps.gradNorm.push(gradNorm);
  const rate = tokensPerSecond >= slowest ? tokensPerSecond : 0;
  steps.tokensPerSecond.push(rate);
  steps.time.push((steps.time.at(-1) ?? 0) + (rate > 0 ? 1 / rate : 0));
};

const takeEval = ({ evals }: Reading, event: Line): void => {
  const { step, valLoss, trainLoss, natsPerCharacter, bitsPerByte, reason } = event;
  if (!isStep(step) || !isNumber(valLoss) || !isNumber(natsPerCharacter) || !isNumber(bitsPerByte)) return;
  if (trainLoss !== null && !isNumber(trainLoss)) return;
  if (isEvalAtStop(reason)) return;
  cut(evals, countBefore(evals.step, step));
  const averaged = isRecord(event.averaged) && isNumber(event.averaged.valLoss) ? event.averaged.valLoss : null;
  if (averaged !== null) evals.averagedLoss ??= evals.step.map(() => null);
  evals.averagedLoss?.push(averaged);
  evals.step.push(step);
  evals.valLoss.push(valLoss);
  evals.trainLoss.push(trainLoss);
  evals.natsPerCharacter.push(natsPerCharacter);
  evals.bitsPerByte.push(bitsPerByte);
};

/** Removes `step` and all later steps, because a resumed run repeats these steps. */
const dropFrom = ({ steps, evals, samples, leftOut }: Reading, step: number): void => {
  cut(steps, countBefore(steps.step, step));
  cut(evals, countBefore(evals.step, step));
  leftOut.length = countBefore(leftOut, step);
  while ((samples.at(-1)?.step ?? -1) >= step) samples.pop();
};

const lastOf = (steps: readonly number[]): number => steps.at(-1) ?? -1;

const take = (columns: Reading, event: unknown): void => {
  if (!isRecord(event)) return;
  const { type, step } = event;
  if (!isStep(step)) return;
  const { steps, samples, leftOut } = columns;
  switch (type) {
    case "start":
      dropFrom(columns, step + 1);
      columns.valTokens = isStep(event.valTokens) ? event.valTokens : null;
      columns.chat = isRecord(event.documents) && event.documents.chat === true;
      columns.computedBy =
        typeof event.backend === "string" && typeof event.threads === "number"
          ? { backend: event.backend, threads: event.threads }
          : null;
      return;
    case "step":
      if (step <= Math.max(lastOf(steps.step), lastOf(leftOut))) dropFrom(columns, step);
      takeStep(columns, event);
      return;
    case "nonfinite":
      if (step <= Math.max(lastOf(steps.step), lastOf(leftOut))) dropFrom(columns, step);
      leftOut.push(step);
      return;
    case "eval":
      takeEval(columns, event);
      return;
    case "sample":
      if (typeof event.prompt !== "string" || typeof event.text !== "string") return;
      while ((samples.at(-1)?.step ?? -1) >= step) samples.pop();
      samples.push({ step, prompt: event.prompt, text: event.text });
      return;
    default:
  }
};

/**
 * Reads the event log of a run. The run may still be in progress. Damaged lines are skipped. A step that a resumed run
 * repeated appears once, with its new values. A run without a log has empty columns.
 * @param runFolder the run's folder.
 * @param mostSteps maximum number of steps. A longer run is thinned to this number, and at most twice this number of
 * steps are in memory. Default: all steps.
 * @param signal stops the reading.
 * @throws CheckpointError if the log cannot be read. Throws the signal's reason if the signal is aborted.
 */
export const readColumns = async (
  runFolder: string,
  mostSteps: number = Number.POSITIVE_INFINITY,
  signal?: AbortSignal,
): Promise<RunColumns> => {
  const reading: Reading = {
    steps: { step: [], loss: [], learningRate: [], gradNorm: [], tokensPerSecond: [], time: [] },
    evals: { step: [], valLoss: [], trainLoss: [], natsPerCharacter: [], bitsPerByte: [] },
    samples: [],
    leftOut: [],
    valTokens: null,
    chat: false,
    computedBy: null,
  };
  let offset = 0;
  let isThinned = false;
  const thin = (length: number): void => {
    if (reading.steps.step.length <= length) return;
    thinSteps(reading.steps, mostSteps);
    isThinned = true;
  };
  for await (const { lines, end } of readWholeLines(join(runFolder, folderNames.metrics))) {
    signal?.throwIfAborted();
    for (const line of lines) take(reading, parseLine(line));
    thin(2 * mostSteps);
    offset = end;
  }
  thin(mostSteps);
  const { time, ...steps } = reading.steps;
  return { ...reading, offset, steps, thinned: isThinned ? { time } : null };
};
