// What has happened in a run, from the files of its last checkpoint.
import type { EvalEvent, OverfittingEvent, RunFiles, SampleEvent, StepEvent, TrainEvent } from "foretoken/browser";

/** The value of a JSON text; undefined for a damaged one, as a line is if the program was ended while it wrote it. */
const parse = (json: string): unknown => {
  try {
    return JSON.parse(json);
  } catch {
    return undefined;
  }
};

const textOf = ({ last }: RunFiles, name: string): string => new TextDecoder().decode(last[name]);

const notesOf = (run: RunFiles): readonly unknown[] => textOf(run, "metrics.jsonl").split("\n").map(parse);

const isCount = (value: unknown): value is number => Number.isInteger(value);

type PastEvent = StepEvent | EvalEvent | SampleEvent;

/** Whether a note has all that the page shows of it. */
const isShown = (note: unknown): note is PastEvent => {
  const { type, step, loss, tokensPerSecond, valLoss, trainLoss, prompt, text } = Object(note);
  const areNumbers = (...values: readonly unknown[]): boolean => values.every(Number.isFinite);
  if (type === "step") return areNumbers(step, loss, tokensPerSecond);
  if (type === "eval") return areNumbers(step, valLoss, trainLoss ?? 0);
  return type === "sample" && areNumbers(step) && typeof prompt === "string" && typeof text === "string";
};

/** Losses and samples of a run so far. Damaged notes are left out. */
export const eventsOf = (run: RunFiles): readonly TrainEvent[] => notesOf(run).filter(isShown);

/** How many parameters its model has; undefined if it is not noted. */
export const parametersOf = (run: RunFiles): number | undefined => {
  const { parameters } = Object(notesOf(run).find((note) => Object(note).type === "start"));
  return Number.isFinite(parameters) ? parameters : undefined;
};

/**
 * Whether a loss that rises on text that the model has not seen has fallen on the text that it learns. Otherwise it rises since
 * the learning rate does, as in a run that goes on after its end.
 */
export const learnsByHeart = (
  { step, bestStep }: Pick<OverfittingEvent, "step" | "bestStep">,
  measured: readonly Pick<EvalEvent, "step" | "trainLoss" | "valLoss">[],
): boolean => {
  const [now, best] = [step, bestStep].map((at) => measured.find((one) => one.step === at));
  const trainLoss = now?.trainLoss ?? Number.NaN;
  return trainLoss < (now?.valLoss ?? Number.NaN) && trainLoss < (best?.trainLoss ?? Number.NaN);
};

const stateOf = (run: RunFiles): { readonly step: unknown; readonly train: Readonly<Record<string, unknown>> } => {
  const { progress, config } = Object(parse(textOf(run, "trainer_state.json")));
  return { step: progress?.step, train: Object(config?.train) };
};

/** The step of a run's checkpoint, and all that are planned. */
export const positionOf = (run: RunFiles): { readonly step: number; readonly steps: number } => {
  const {
    step,
    train: { steps },
  } = stateOf(run);
  if (isCount(step) && isCount(steps)) return { step, steps };
  throw new Error("Its trainer_state.json does not say which step it is at: the file is missing or damaged.");
};

/**
 * The step that a run goes on to: its planned end or, where that is reached, as many steps more as its patience is sure to let
 * it take. The learning rate rises first, and with it the loss: the run would end by itself before it has taken many more.
 */
export const nextEnd = (run: RunFiles): number => {
  const { step, steps } = positionOf(run);
  if (step < steps) return steps;
  const { patience, evalInterval } = stateOf(run).train;
  const threefold = 3 * steps;
  if (!isCount(patience) || !isCount(evalInterval) || patience === 0) return threefold;
  return Math.min(threefold, (Math.floor(steps / evalInterval) + patience) * evalInterval);
};
