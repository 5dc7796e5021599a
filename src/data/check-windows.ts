import { checkInt32, checkKeys, checkWhole } from "../core/checks/check-arguments.ts";

interface Sizes {
  readonly batchSize: unknown;
  readonly contextLength: unknown;
  readonly microStep?: unknown;
}

const checkSizes = (where: string, options: Sizes, others: readonly string[] = []): void => {
  checkKeys(where, options, ["batchSize", "contextLength", ...others]);
  checkWhole(`${where}: batchSize`, options.batchSize, 1);
  checkWhole(`${where}: contextLength`, options.contextLength, 1);
};

/** Checks the arguments of `trainingBatch`. @throws ShapeError for invalid tokens; ConfigError for invalid options */
export const checkTrainingBatch = (tokens: unknown, options: Sizes): void => {
  checkInt32("trainingBatch: tokens", tokens);
  checkSizes("trainingBatch", options, ["seed", "step", "microStep"]);
  // `randomKey` checks the seed and the step.
  if (options.microStep !== undefined) checkWhole("trainingBatch: microStep", options.microStep);
};

/**
 * Checks the arguments of `evaluationWindows`. @throws ShapeError for invalid tokens; ConfigError for invalid options
 */
export const checkEvaluationWindows = (tokens: unknown, options: Sizes): void => {
  checkInt32("evaluationWindows: tokens", tokens);
  checkSizes("evaluationWindows", options);
};
