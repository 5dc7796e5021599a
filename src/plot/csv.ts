/** Writes the numbers of runs as a CSV table (RFC 4180). */
import { averagedOf, type DrawnRun, secondsOf } from "./curves.ts";

const columnNames = [
  ...["run", "step", "tokens", "seconds", "loss", "learning_rate", "grad_norm", "tokens_per_second", "val_loss"],
];

/** First line of the table. */
export const csvHead = columnNames.join(",");

/** First line of a table with a column for losses of averaged weights. */
export const averagedHead = `${csvHead},averaged_val_loss`;

/**
 * A text cell. If a text begins with certain characters, a spreadsheet treats it as a formula. An apostrophe in front
 * of the text prevents this.
 */
const textCell = (text: string): string => `"${/^[=+\-@\t\r]/u.test(text) ? "'" : ""}${text.replaceAll('"', '""')}"`;

/**
 * Rows of a run, in order of steps. Each step has a row. An evaluation gets an extra row if its step has no row.
 * Unknown cells are empty.
 * @param isAveraged whether the table has a column for losses of averaged weights.
 */
const rowsOf = (run: DrawnRun, isAveraged: boolean): readonly string[] => {
  const { steps, evals } = run.numbers;
  const seconds = secondsOf(run);
  const places = new Map(steps.step.map((step, i): [number, number] => [step, i]));
  const losses = new Map(evals.step.map((step, i): [number, number | undefined] => [step, evals.valLoss[i]]));
  const averaged = averagedOf(evals);
  const averages = new Map(averaged.step.map((step, i): [number, number | undefined] => [step, averaged.valLoss[i]]));
  const all = [...new Set([...steps.step, ...evals.step])].sort((a, b) => a - b);
  const name = textCell(run.name);
  return all.map((step) => {
    const i = places.get(step) ?? -1;
    const own = [seconds[i], steps.loss[i], steps.learningRate[i], steps.gradNorm[i], steps.tokensPerSecond[i]];
    const both = isAveraged ? [losses.get(step), averages.get(step)] : [losses.get(step)];
    return [name, step, step * run.tokensPerStep, ...own, ...both].map((cell) => cell ?? "").join(",");
  });
};

const numberForm = String.raw`-?\d+(?:\.\d+)?(?:e[+-]\d+)?`;
/** Matches a row of `rowsOf` with `count` columns: a name, two numbers, and in each other column a number or nothing. */
const rowForm = (count: number): RegExp =>
  new RegExp(String.raw`"[^"]*(?:""[^"]*)*"(?:,${numberForm}){2}(?:,(?:${numberForm})?){${count - 3}}\n`, "uy");
/** Maximum length of a row. A path limits the length of the name in a row. */
const longestRow = 2 ** 15;

/**
 * Whether a file is a table of `rowsOf` and contains nothing else. A table with other rows belongs to the user.
 * @param pieces the file's text, in order.
 */
export const isOurCsv = async (pieces: AsyncIterable<string> | Iterable<string>): Promise<boolean> => {
  let rest = "";
  let row: RegExp | undefined;
  for await (const piece of pieces) {
    rest += piece;
    if (row === undefined) {
      if (rest.length <= averagedHead.length && !rest.includes("\n")) continue;
      const head = [csvHead, averagedHead].find((one) => rest.startsWith(`${one}\n`));
      if (head === undefined) return false;
      row = rowForm(head.split(",").length);
      rest = rest.slice(head.length + 1);
    }
    row.lastIndex = 0;
    let end = 0;
    while (row.test(rest)) end = row.lastIndex;
    rest = rest.slice(end);
    if (rest.length > longestRow) return false;
  }
  return row !== undefined && rest === "";
};

export const runsCsv = (runs: readonly DrawnRun[]): string => {
  const isAveraged = runs.some(({ numbers }) => numbers.evals.averagedLoss !== undefined);
  const head = isAveraged ? averagedHead : csvHead;
  return [head, ...runs.flatMap((run) => rowsOf(run, isAveraged))].map((line) => `${line}\n`).join("");
};
