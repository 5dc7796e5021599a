/** Opens a backend and calibrates a model that is not loaded. */

import { type BackendChoice, backendChoices } from "../../../backend/choices.node.ts";
import { openBackend } from "../../../backend/select.node.ts";
import { checkChoice, checkWhole } from "../../../core/checks/check-arguments.ts";
import type { ReadValues } from "../../../models/arena.ts";
import { createModel, type Model } from "../../../models/model.ts";
import { type Calibrated, calibrate, type GgufCalibrationText } from "./calibrate.ts";
import type { ModelFacts } from "./contents.ts";

/** A text for the calibration, and the backend that computes. */
export interface GgufCalibration extends GgufCalibrationText {
  /** Backend that runs the model on the text. Only if the model is a path or a name. Default: "auto". */
  readonly backend?: BackendChoice | undefined;
  /** Number of threads of the backend. Default: all cores. */
  readonly threads?: number | undefined;
}

/** Options about the backend. */
export const computingNames = ["backend", "threads"] as const;

/** @throws ConfigError naming the option. */
export const checkComputing = (where: string, { backend, threads }: GgufCalibration): void => {
  checkChoice(`${where}: backend`, backend, backendChoices);
  if (threads !== undefined) checkWhole(`${where}: threads`, threads, 1);
};

/** Number of weights that are copied at a time. */
const copiedAtATime = 2 ** 22;

/** Copies all weights into the model. */
export const writeAll = async ({ layout, writeWeights }: Model, read: ReadValues): Promise<void> => {
  for (let offset = 0; offset < layout.length; offset += copiedAtATime) {
    writeWeights(await read(offset, Math.min(copiedAtATime, layout.length - offset)), offset);
  }
};

/** Options of a calibration. */
interface Calibrating {
  readonly calibration?: GgufCalibration | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Loads a model in float32, and measures the importances of its columns. Undefined if no calibration is requested.
 * @param load reads the weights into the empty model.
 */
export const calibrateOn = async (
  { config, vocabSize, tokenizer, where }: Pick<ModelFacts, "config" | "vocabSize" | "tokenizer" | "where">,
  load: (model: Model) => Promise<void>,
  { calibration, signal }: Calibrating,
): Promise<Calibrated | undefined> => {
  if (calibration === undefined) return undefined;
  const { backend: choice = "auto", threads } = calibration;
  const backend = await openBackend(choice, { threads, dtype: "float32", manyRows: true });
  try {
    const model = createModel(backend, config, vocabSize);
    await load(model);
    return await calibrate(model, tokenizer, calibration, where, signal);
  } finally {
    await backend.close();
  }
};
