/** The numbers of runs as a table in CSV (RFC 4180). */
import { type DrawnRun, secondsOf } from "./curves.ts";

const columnNames = [
  ...["run", "step", "tokens", "seconds", "loss", "learning_rate", "grad_norm", "tokens_per_second", "val_loss"],
];

/** The first line of such a table. */
export const csvHead = columnNames.join(",");

/** A text in a cell. A spreadsheet takes one that begins with certain signs for a formula: an apostrophe prevents it. */
const textCell = (text: string): string => `"${/^[=+\-@\t\r]/u.test(text) ? "'" : ""}${text.replaceAll('"', '""')}"`;

/** The rows of a run: one for each step and for each evaluation without one, in their order. Unknown cells are empty. */
const rowsOf = (run: DrawnRun): readonly string[] => {
  const { steps, evals } = run.numbers;
  const seconds = secondsOf(run);
  const places = new Map(steps.step.map((step, i): [number, number] => [step, i]));
  const losses = new Map(evals.step.map((step, i): [number, number | undefined] => [step, evals.valLoss[i]]));
  const all = [...new Set([...steps.step, ...evals.step])].sort((a, b) => a - b);
  const name = textCell(run.name);
  return all.map((step) => {
    const i = places.get(step) ?? -1;
    const own = [seconds[i], steps.loss[i], steps.learningRate[i], steps.gradNorm[i], steps.tokensPerSecond[i]];
    return [name, step, step * run.tokensPerStep, ...own, losses.get(step)].map((cell) => cell ?? "").join(",");
  });
};

/** Whether a file with these first bytes is such a table. */
export const isOurCsv = (beginning: string): boolean => beginning.startsWith(`${csvHead}\n`);

export const runsCsv = (runs: readonly DrawnRun[]): string =>
  [csvHead, ...runs.flatMap(rowsOf)].map((line) => `${line}\n`).join("");
