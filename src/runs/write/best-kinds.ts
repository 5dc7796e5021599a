/** The weights with the lowest loss that a run's folder keeps: of its weights and, with an average, of the averages. */
import type { RunConfig } from "../../config/config.ts";
import { folderNames } from "../folder-names.ts";
import type { Progress } from "../progress.ts";

/** Weights with the lowest loss of one kind. */
export interface BestKind {
  /** Name of their folder. */
  readonly name: string;
  /** Their name in messages. */
  readonly words: string;
  /** Whether the last checkpoint of their step has the same weights as a model. */
  readonly inCheckpoint: boolean;
  /** Their step; null if there are none yet. */
  stepOf(progress: Progress): number | null;
  /** The progress without them: the weights of the next evaluation are kept as the best ones. */
  without(progress: Progress): Progress;
}

/** The best weights, in `best/`. */
export const bestWeights: BestKind = {
  name: folderNames.best,
  words: "best weights",
  inCheckpoint: true,
  stepOf: ({ best }) => best?.step ?? null,
  without: (progress) => ({ ...progress, best: null, evalsSinceBest: 0 }),
};

/** The best averaged weights, in `averaged/`. A checkpoint keeps the average of its step only as part of the state. */
export const bestAverage: BestKind = {
  name: folderNames.averaged,
  words: "best averaged weights",
  inCheckpoint: false,
  stepOf: ({ bestAverage }) => bestAverage?.step ?? null,
  without: ({ bestAverage: _, ...progress }) => progress,
};

/** The kinds that a run keeps. */
export const bestKindsOf = ({ train }: Pick<RunConfig, "train">): readonly BestKind[] =>
  train.average === undefined ? [bestWeights] : [bestWeights, bestAverage];
