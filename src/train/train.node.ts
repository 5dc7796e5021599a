import { checkTrainOptions } from "../config/options.ts";
import type { TrainEvent } from "../runs/events.ts";
import { startRun } from "./new-run.node.ts";
import { comparedOptions } from "./ranks/compared-options.node.ts";
import { joinTeam } from "./ranks/mpi-team.node.ts";
import { resumeRun } from "./resumed-run.node.ts";
import type { TrainOptions } from "./train-options.node.ts";

export type { NewRun, ResumedRunOptions, TrainOptions } from "./train-options.node.ts";

/**
 * Trains a model and yields events: `start`, a `step` for each update, `eval`, `sample`, `checkpoint`, `done`. The same
 * options, backend and instruction set give the same bits, with any number of threads, and whether or not the run is
 * stopped and resumed. All input is checked before anything is written.
 *
 * If the caller leaves the loop, by `break` or by an error of its own, the run ends without saving: the steps since the
 * last checkpoint are lost. To keep them, abort `signal` and read the events to the end.
 *
 * @throws ConfigError for options that cannot work, DataError for text that cannot be used, CheckpointError for a run
 * that cannot be resumed, UnsupportedKernelError for a backend that this machine lacks.
 */
export async function* train(options: TrainOptions = {}): AsyncGenerator<TrainEvent, void, undefined> {
  checkTrainOptions(options);
  const ranks = options.mpi === true ? await joinTeam(options.signal) : null;
  let how: "left" | "failed" | "ended" = "left";
  try {
    await ranks?.compare(comparedOptions(options));
    yield* options.resume === undefined ? startRun(options, ranks) : resumeRun(options, ranks);
    how = "ended";
  } catch (error) {
    how = "failed";
    ranks?.fail(error);
    throw error;
  } finally {
    // A rank that leaves the loop early also leaves the other ranks, so they must leave too.
    if (how !== "failed") await ranks?.leave(how === "left");
  }
}
