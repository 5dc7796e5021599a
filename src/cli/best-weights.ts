import { open } from "node:fs/promises";
import { join } from "node:path";
import { isRecord } from "../core/is-record.ts";
import { readCheckpoint } from "../io/checkpoint.node.ts";
import { parseJson } from "../pretrained/checkpoint-json.ts";
import { folderNames } from "../train/folder/folder-names.ts";
import { formatCount } from "./display/format.ts";

/** Bytes at the end of `metrics.jsonl` that are looked through: the events since the last checkpoint are there. */
const tailBytes = 2 ** 20;

const tailOf = async (path: string): Promise<string> => {
  const file = await open(path, "r");
  try {
    const { size } = await file.stat();
    const length = Math.min(size, tailBytes);
    const { buffer, bytesRead } = await file.read(new Uint8Array(length), 0, length, size - length);
    return new TextDecoder().decode(buffer.subarray(0, bytesRead));
  } finally {
    await file.close();
  }
};

const parsed = (line: string): unknown => {
  try {
    return JSON.parse(line);
  } catch {
    // A line that was cut.
    return undefined;
  }
};

/** Steps of the evaluations after `step` that found a lower loss: those that the last checkpoint does not know of. */
const betterAfter = async (run: string, step: number): Promise<readonly number[]> =>
  (await tailOf(join(run, folderNames.metrics)).catch(() => ""))
    .split("\n")
    .filter((line) => line.includes('"type":"eval"'))
    .map(parsed)
    .filter(isRecord)
    .flatMap((event) =>
      event.best === true && event.reason !== "interrupted" && typeof event.step === "number" && event.step > step
        ? [event.step]
        : [],
    );

/** The steps of a run's last checkpoint and of its best weights; undefined where they cannot be told. */
const stepsOf = async (run: string): Promise<{ readonly last: number; readonly best: number } | undefined> => {
  const name = "trainer_state.json";
  const directory = join(run, folderNames.checkpoint);
  const { [name]: bytes } = await readCheckpoint(directory, [name]);
  const state = parseJson(bytes, name);
  const progress = isRecord(state) ? state.progress : undefined;
  if (!isRecord(progress) || typeof progress.step !== "number") return undefined;
  // The best weights are saved at once, the checkpoint in its turn: a run that was killed may have newer ones.
  const newer = (await betterAfter(run, progress.step)).at(-1);
  const noted = isRecord(progress.best) ? progress.best.step : undefined;
  const best = newer ?? noted;
  return typeof best === "number" ? { last: progress.step, best } : undefined;
};

/** A line that says which weights of `run` its best ones are; undefined where the last ones are the same. */
export const bestWeightsNotice = async (run: string): Promise<string | undefined> => {
  // Best effort: nothing but this line depends on it.
  const steps = await stepsOf(run).catch(() => undefined);
  if (steps === undefined || steps.best === steps.last) return undefined;
  const { best, last } = steps;
  return `weights of step ${formatCount(best)}, the lowest validation loss (--weights last: those of step ${formatCount(last)})`;
};
