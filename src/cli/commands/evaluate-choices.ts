/** `foretoken evaluate --choices`: questions with several answers. */
import { DataError } from "../../core/errors/errors.ts";
import { type ChoiceQuestion, type ChoicesEvaluation, checkQuestion } from "../../evaluate/choices.ts";
import { parseLine } from "../../io/json-line.ts";
import { readLines } from "../../io/jsonl.node.ts";
import type { WorkerModel } from "../../worker/model.node.ts";
import { formatCount, formatPlural } from "../display/texts/format.ts";
import { padRight } from "../display/texts/width.ts";
import { endStopped, onInterrupt } from "../process/interrupt.ts";
import { onOutputEnd, writeJson, writeOut } from "../process/output.ts";
import { progressLine } from "../process/progress-line.ts";
import { printableName } from "../process/terminal.ts";
import { nothingIn } from "../prompts/nothing-in.ts";

/**
 * Reads and checks all questions of a file. Empty lines are skipped.
 * @throws DataError that names the line.
 */
const readQuestions = async (path: string): Promise<readonly ChoiceQuestion[]> => {
  const questions: ChoiceQuestion[] = [];
  let line = 0;
  for await (const text of readLines(path)) {
    line++;
    if (text.trim() !== "") questions.push(checkQuestion(`${path}: line ${line}`, parseLine(text.trim())));
  }
  if (questions.length > 0) return questions;
  throw new DataError({
    where: "--choices",
    must: "must be a file with one question on each line",
    got: nothingIn(path, line),
  });
};

const percent = (share: number): string => `${(100 * share).toFixed(2)}%`;

const resultText = (result: ChoicesEvaluation, path: string): string =>
  [
    ["accuracy", `${percent(result.accuracy)} ± ${percent(result.standardError)}`],
    ["by length", percent(result.accuracyByLength)],
    ["questions", formatCount(result.count)],
    ["measured on", printableName(path)],
  ]
    .map(([label = "", value = ""]) => `${padRight(label, 20)}${value}\n`)
    .join("");

/** @param open loads the model. `open` is called after the check of the file. */
export const runChoices = async (open: () => Promise<WorkerModel>, path: string, json: boolean): Promise<void> => {
  const questions = await readQuestions(path);
  const lm = await open();
  const interrupt = onInterrupt(() => {});
  onOutputEnd(interrupt.abort);
  const progress = progressLine(json);
  try {
    const result = await lm.evaluateChoices(questions, {
      signal: interrupt.signal,
      onProgress: (done, all) => progress.update(`${formatCount(done)} of ${formatPlural(all, "question")}`),
    });
    progress.clear();
    if (json) writeJson(result);
    else writeOut(resultText(result, path));
  } catch (error) {
    progress.clear();
    if (!interrupt.signal.aborted) throw error;
    endStopped(interrupt, "the evaluation is not complete");
  } finally {
    interrupt.release();
    await lm.close();
  }
};
