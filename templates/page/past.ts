// The history of a run, from the files of its last checkpoint.
import type { EvalEvent, OverfittingEvent, RunFiles, SampleEvent, StepEvent, TrainEvent } from "foretoken/browser";

/**
 * Parses a JSON text. Returns undefined if the text is damaged. For example, a killed program leaves an incomplete
 * line.
 */
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

/** Whether an event has all fields that the page shows. */
const isShown = (note: unknown): note is PastEvent => {
  const { type, step, loss, tokensPerSecond, valLoss, trainLoss, prompt, text } = Object(note);
  const areNumbers = (...values: readonly unknown[]): boolean => values.every(Number.isFinite);
  if (type === "step") return areNumbers(step, loss, tokensPerSecond);
  if (type === "eval") return areNumbers(step, valLoss, trainLoss ?? 0);
  return type === "sample" && areNumbers(step) && typeof prompt === "string" && typeof text === "string";
};

/** Losses and samples of a run so far. Damaged lines are left out. */
export const eventsOf = (run: RunFiles): readonly TrainEvent[] => notesOf(run).filter(isShown);

/** Number of parameters of the run's model; undefined if it is not recorded. */
export const parametersOf = (run: RunFiles): number | undefined => {
  const { parameters } = Object(notesOf(run).find((note) => Object(note).type === "start"));
  return Number.isFinite(parameters) ? parameters : undefined;
};

/**
 * Whether the model memorises its text. The loss on held-out text then rises while the loss on the training text falls.
 * If both losses rise, the cause is the rising learning rate, for example in a run that is extended after its end.
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

/** The step of a run's checkpoint, and its planned number of steps. */
export const positionOf = (run: RunFiles): { readonly step: number; readonly steps: number } => {
  const {
    step,
    train: { steps },
  } = stateOf(run);
  if (isCount(step) && isCount(steps)) return { step, steps };
  throw new Error("The run's trainer_state.json does not contain the step: the file is missing or damaged.");
};

/**
 * The step to which "Resume" trains. Before the planned end of a run, this is the planned end. After the planned end,
 * the page adds only a few steps, so that patience cannot end the run before them. At first, the learning rate rises
 * and the loss rises with it, so patience would end a longer run early.
 */
export const nextEnd = (run: RunFiles): number => {
  const { step, steps } = positionOf(run);
  if (step < steps) return steps;
  const { patience, evalInterval } = stateOf(run).train;
  const threefold = 3 * steps;
  if (!isCount(patience) || !isCount(evalInterval) || patience === 0) return threefold;
  return Math.min(threefold, (Math.floor(steps / evalInterval) + patience) * evalInterval);
};
