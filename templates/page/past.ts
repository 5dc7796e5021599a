// What has happened in a run, from the files of its last checkpoint.
import type { EvalEvent, RunFiles, SampleEvent, StepEvent, TrainEvent } from "foretoken/browser";

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

/** The step of a run's checkpoint, and all that are planned. */
export const positionOf = (run: RunFiles): { readonly step: number; readonly steps: number } => {
  const { progress, config } = Object(parse(textOf(run, "trainer_state.json")));
  const [step, steps] = [progress?.step, config?.train?.steps];
  if (Number.isInteger(step) && Number.isInteger(steps)) return { step, steps };
  throw new Error("Its trainer_state.json does not say which step it is at: the file is missing or damaged.");
};
