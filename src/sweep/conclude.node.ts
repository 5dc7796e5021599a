/** Makes the result of a sweep after all its runs have ended. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { given } from "../config/given.ts";
import { CheckpointError } from "../core/errors/errors.ts";
import { quoteWord } from "../core/text/shell-word.ts";
import { readRunDescription } from "../runs/description.node.ts";
import { folderNames } from "../runs/folder-names.ts";
import { loadInWorker } from "../worker/model.node.ts";
import { sweepNames, writeJson } from "./folder.node.ts";
import { pathOf, plannedSteps, type Sweep } from "./open.node.ts";
import type { PlannedSetting } from "./plan.node.ts";
import { type HeldOutLoss, type SweepResult, sweptSettings } from "./result.ts";
import { lossUntil, readNoted, unbegun } from "./run-part.node.ts";
import type { Ending, Endings } from "./schedule.ts";
import { mean } from "./statistics.ts";
import type { SweepDoneEvent } from "./sweep-events.ts";

/** What the schedule had trained. */
export interface TrainedParts {
  /** How each setting ended. */
  readonly endings: Endings;
  /** The last step of each trained run, by its path. */
  readonly untils: ReadonlyMap<string, number>;
}

/**
 * Final state of a setting, from the notes of its runs. Steps and runs that the schedule did not ask for are ignored:
 * tasks of a job array train all runs to their ends, and the result must be the same.
 */
const outcomeOf = async (sweep: Sweep, setting: number, ending: Ending, untils: TrainedParts["untils"]) => {
  const { seeds, settings } = sweep;
  const runs = await Promise.all(
    seeds.map(async (seed, i) => {
      const path = pathOf(sweep, { setting, seed: i });
      const until = untils.get(path) ?? 0;
      return { seed, until, noted: until === 0 ? unbegun : await readNoted(path) };
    }),
  );
  const losses = runs.map(({ seed, until, noted }) => ({ seed, natsPerCharacter: lossUntil(noted, until) }));
  return {
    name: (settings[setting] as PlannedSetting).name,
    ending,
    steps: runs.reduce((sum, { noted, until }) => sum + Math.min(noted.step, until), 0),
    plannedSteps: plannedSteps({ settings: [settings[setting] as PlannedSetting], seeds }),
    losses: losses.filter(({ natsPerCharacter }) => Number.isFinite(natsPerCharacter)),
  };
};

/**
 * Awaits something that is read from a finished run. If files are missing or damaged, the error suggests deleting the
 * run, so that it is trained again.
 */
const readOrDelete = async <Read>(path: string, reading: Promise<Read>): Promise<Read> => {
  try {
    return await reading;
  } catch (error) {
    if (!(error instanceof CheckpointError)) throw error;
    const hint = `deleting ${quoteWord(path)}; the same command then trains this run again`;
    throw new CheckpointError({ ...error.details, hint, cause: error });
  }
};

/** Measures the best weights of the winner's runs on the held-out text. */
const measureHeldOut = async (sweep: Sweep, setting: number): Promise<HeldOutLoss> => {
  const { folder, seeds, running } = sweep;
  const { heldOut, name } = folder.texts;
  const text = await readFile(heldOut, "utf8");
  const runs = [];
  for (const [i, seed] of seeds.entries()) {
    const path = pathOf(sweep, { setting, seed: i });
    const { config } = await readOrDelete(path, readRunDescription(path));
    const { backend, threads, signal } = running;
    const options = { backend, threads, dtype: config.train.dtype, asInTraining: true };
    const lm = await readOrDelete(path, loadInWorker(join(path, folderNames.best), options));
    try {
      const corpus = { name, train: "", val: text, parts: [{ where: heldOut, start: 0 }] };
      const { natsPerCharacter, bitsPerByte } = await lm.evaluate(corpus, { unknown: "skip", signal });
      runs.push({ seed, natsPerCharacter, bitsPerByte });
    } finally {
      await lm.close();
    }
  }
  return {
    natsPerCharacter: mean(runs.map((run) => run.natsPerCharacter)),
    bitsPerByte: mean(runs.map((run) => run.bitsPerByte)),
    runs,
  };
};

/** Writes the winner's configuration in the form of `train --config`; returns the file's path. */
const writeWinner = async (sweep: Sweep, setting: number): Promise<string> => {
  const run = pathOf(sweep, { setting, seed: 0 });
  const { config } = await readOrDelete(run, readRunDescription(run));
  const { sampleTokens, extensions: _, ...train } = config.train;
  const asked = given(sweep.settings[setting]?.config, ["train", "sampleTokens"]) !== undefined;
  const path = join(sweep.folder.path, sweepNames.winner);
  await writeJson(path, { ...config, train: asked ? { ...train, sampleTokens } : train });
  return path;
};

/** Measures the winner on the held-out text, and writes the result and the winner's configuration. */
export const conclude = async (sweep: Sweep, { endings, untils }: TrainedParts): Promise<SweepDoneEvent> => {
  const outcomes = await Promise.all(endings.map((ending, setting) => outcomeOf(sweep, setting, ending, untils)));
  const { settings, winner } = sweptSettings(outcomes);
  const config = winner === null ? null : await writeWinner(sweep, winner - 1);
  const result: SweepResult = {
    ...{ settings, winner },
    heldOut: winner === null ? null : await measureHeldOut(sweep, winner - 1),
    steps: settings.reduce((sum, { steps }) => sum + steps, 0),
    plannedSteps: plannedSteps(sweep),
  };
  await writeJson(join(sweep.folder.path, sweepNames.result), result);
  return { type: "done", result, config };
};
