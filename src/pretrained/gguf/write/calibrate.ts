/** Measures the importances of a model's columns on a text, for the encoder of a GGUF file. */
import { checkCallback, checkKeys, checkName, checkText } from "../../../core/checks/check-arguments.ts";
import { ConfigError, DataError } from "../../../core/errors/errors.ts";
import { type Batch, setWindow } from "../../../data/batches.ts";
import type { Model } from "../../../models/model.ts";
import { beginOf } from "../../../tokenizer/begin.ts";
import type { Tokenizer } from "../../../tokenizer/tokenizer.ts";
import { type EncodingChoice, encoderOf } from "./encodings.ts";
import { ggufFormOf } from "./fields.ts";
import { measureImportance } from "./importance.ts";

/** The text that decides which errors of the weights count most. */
export interface GgufCalibrationText {
  /**
   * A text like the texts that the model will read and write. If the text is longer than 16,384 tokens, windows of 512
   * tokens are read that are evenly spread over the text.
   */
  readonly text: string;
  /** Name of the text, for the file and for errors. Default: "text". */
  readonly name?: string | undefined;
  /** Gets the number of tokens that the model has read so far and the total. Default: none. */
  readonly onProgress?: ((tokens: number, all: number) => void) | undefined;
}

/** Importances of a model's columns. */
export interface Calibrated {
  /** Importances by the name of the tensor in a GGUF file: a positive number for each column. */
  readonly importances: ReadonlyMap<string, Float64Array>;
  /** Name of the text. */
  readonly text: string;
  /** Number of windows of the text. */
  readonly windows: number;
}

const windowLength = 512;
/** Maximum number of windows that are read. More windows hardly change the loss. */
const mostWindows = 32;
/** Minimum number of tokens of the text. */
const leastTokens = 256;
/** Number of tokens of a forward pass. */
const tokensOfPass = 2048;

/** Checks the option `calibration`. @param others names of further options. */
export const checkCalibration = (where: string, given: GgufCalibrationText, others: readonly string[] = []): void => {
  checkKeys(where, given, ["text", "name", "onProgress", ...others]);
  checkText(`${where}: text`, given.text);
  if (given.name !== undefined) checkName(`${where}: name`, given.name);
  checkCallback(`${where}: onProgress`, given.onProgress);
};

/** @throws ConfigError if no matrix is quantized, because the calibration then would change nothing. */
export const checkQuantized = (where: string, { encoding, embedding }: EncodingChoice): void => {
  if ([encoding, embedding ?? encoding].some((one) => encoderOf(one).blockLength > 1)) return;
  throw new ConfigError({
    where,
    must: "must be used only with a quantized encoding",
    got: `${encoding}, which needs no calibration`,
    hint: "q8_0, or no calibration",
  });
};

/** The windows of the text in batches: all windows of a short text, otherwise evenly spread windows. */
export function* calibrationBatches(
  ids: Int32Array,
  contextLength: number,
  begin: number | undefined,
): Generator<Batch> {
  const time = Math.min(windowLength, contextLength, ids.length);
  const all = Math.floor(ids.length / time);
  const count = Math.min(all, Math.ceil((mostWindows * windowLength) / time));
  const most = Math.max(1, Math.floor(tokensOfPass / time));
  for (let first = 0; first < count; first += most) {
    const rows = Math.min(most, count - first);
    const batch = { x: new Int32Array(rows * time), y: new Int32Array(rows * time), rows, time };
    for (let row = 0; row < rows; row++) {
      setWindow(batch, row, ids, Math.floor(((first + row) * all) / count) * time, begin);
    }
    yield batch;
  }
}

/** Smallest importance of a column, as a fraction of the mean. Even inputs that were 0 in the text may occur elsewhere. */
const leastImportance = 1e-6;

/** Makes all importances positive. Undefined if all inputs were 0. */
const positive = (squares: Float64Array): Float64Array | undefined => {
  const mean = squares.reduce((sum, square) => sum + square, 0) / squares.length;
  return mean > 0 ? squares.map((square) => Math.max(square, leastImportance * mean)) : undefined;
};

/**
 * Measures the importances of the model's columns on the text.
 * @param where the model, for errors.
 * @throws DataError for a text that is too short, or with characters that the tokenizer lacks.
 */
export const calibrate = async (
  model: Model,
  tokenizer: Tokenizer,
  { text, name = "text", onProgress }: GgufCalibrationText,
  where: string,
  signal?: AbortSignal,
): Promise<Calibrated> => {
  const { config } = model;
  const ids = tokenizer.encode(text, name);
  if (ids.length < leastTokens) {
    const must = `a text for calibration must have at least ${leastTokens} tokens`;
    throw new DataError({ where: name, must, got: String(ids.length), hint: "a longer text" });
  }
  const batches = [...calibrationBatches(ids, config.contextLength, beginOf(tokenizer))];
  const windows = batches.reduce((sum, { rows }) => sum + rows, 0);
  const all = batches.reduce((sum, { x }) => sum + x.length, 0);
  let done = 0;
  const measured = await measureImportance(model, batches, async ({ x }) => {
    signal?.throwIfAborted();
    done += x.length;
    await onProgress?.(done, all);
  });
  const importances = new Map<string, Float64Array>();
  for (const { theirs, ours } of ggufFormOf(config, where).mappings(config)) {
    const squares = measured.get(ours);
    if (squares === undefined) continue;
    if (!squares.every(Number.isFinite)) {
      throw new ConfigError({
        where,
        must: "the inputs of all matrices must be finite",
        got: `inputs of ${theirs} that are not finite`,
        hint: "another checkpoint: this checkpoint is damaged, or its training diverged",
      });
    }
    const found = positive(squares);
    if (found !== undefined) importances.set(theirs, found);
  }
  return { importances, text: name, windows };
};
