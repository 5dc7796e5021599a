/** A run's numbers in columns, from its notes: for curves. */
import { join } from "node:path";
import { isRecord } from "../../core/checks/is-record.ts";
import { isEvalAtStop } from "../../io/first-form.node.ts";
import { parseLine } from "../../io/json-line.ts";
import { readWholeLines } from "../../io/jsonl.node.ts";
import { folderNames } from "../folder-names.ts";
import { type StepColumns, thinSteps } from "./thin-steps.ts";

/** A run's numbers, in columns of equal length: place i of each column of `steps` is of one step. */
export interface RunColumns {
  /** Bytes of the notes that were read, up to the end of the last whole line. */
  readonly offset: number;
  /** The updates, in the order of their steps. Losses are in nats per token. */
  readonly steps: {
    step: number[];
    loss: number[];
    learningRate: number[];
    gradNorm: number[];
    tokensPerSecond: number[];
  };
  /** The evaluations, in the order of their steps. */
  readonly evals: {
    step: number[];
    valLoss: number[];
    trainLoss: (number | null)[];
    natsPerCharacter: number[];
    bitsPerByte: number[];
  };
  /** Texts of the model, in the order of their steps. */
  readonly samples: { step: number; prompt: string; text: string }[];
  /** Steps that were left out, since they were not finite or exploded. */
  readonly leftOut: number[];
  /** Tokens that are held out; null if that is not noted. */
  readonly valTokens: number | null;
  /**
   * Set where steps are missing, since there were more than asked for: the sum of 1 / `tokensPerSecond` of all steps up to each
   * one that is there.
   */
  readonly thinned: { readonly time: number[] } | null;
}

/** As they are read. */
interface Reading extends Omit<RunColumns, "offset" | "steps" | "thinned" | "valTokens"> {
  readonly steps: StepColumns;
  valTokens: number | null;
}

type Line = Readonly<Record<string, unknown>>;

// A schema for each line would take longer than all else: a run may have millions.
const isNumber = (value: unknown): value is number => typeof value === "number" && Number.isFinite(value);
const isStep = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

/** How many of `steps`, in ascending order, are before `step`. */
const countBefore = (steps: readonly number[], step: number): number => {
  let count = steps.length;
  while (count > 0 && (steps[count - 1] as number) >= step) count--;
  return count;
};

const cut = (columns: Reading["steps"] | Reading["evals"], count: number): void => {
  for (const column of Object.values(columns) as unknown[][]) column.length = count;
};

/** Tokens per second. Less was measured nowhere: such a step counts as one without a time, or no later time would be finite. */
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
  evals.step.push(step);
  evals.valLoss.push(valLoss);
  evals.trainLoss.push(trainLoss);
  evals.natsPerCharacter.push(natsPerCharacter);
  evals.bitsPerByte.push(bitsPerByte);
};

/** Removes `step` and all later ones: a resumed run repeats them. */
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
 * Reads the notes of a run, which may be under way. Damaged lines are skipped. Steps that a resumed run repeated are there
 * once, as they were repeated. A run without notes has empty columns.
 * @param runFolder the run's folder.
 * @param mostSteps of a longer run the steps are thinned to so many; no more than twice as many are in memory. Default: all are
 *   there.
 * @param signal ends the reading.
 * @throws CheckpointError if the notes cannot be read, or the signal's reason.
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
