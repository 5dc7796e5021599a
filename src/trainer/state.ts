/**
 * A trainer's state: together with the step number, it determines the next step. It has the weights, the optimizer's
 * running means and, with `train.average`, the average of the weights. With adapters, the weights are the adapters' weights; the base model does not change.
 */

import type { TrainerConfig } from "../config/config.ts";
import type { ArenaLayout, ReadValues } from "../models/arena.ts";
import { loraLayout } from "../models/lora/layout.ts";
import { modelLayout } from "../models/model.ts";
import { optimizerLayouts } from "../optim/state.ts";
import { averageLayouts } from "./average-layouts.ts";

/** One array of the state, and the place of each parameter in it. */
export interface StateLayout {
  /** `values` for the trained weights; for other arrays, the name that the optimizer or the average gives them. */
  readonly name: string;
  readonly layout: ArenaLayout;
}

export const weightsName = "values";

/** Layout of the weights that a trainer changes: the model's weights, or the adapters'. */
export const trainedLayout = (
  { model, lora }: Pick<TrainerConfig, "model" | "lora">,
  vocabSize: number,
): ArenaLayout => (lora === undefined ? modelLayout(model, vocabSize) : loraLayout(model, lora));

/**
 * The arrays of a trainer's state: first the trained weights, then the optimizer's arrays, then the arrays of the
 * average. Needs no trainer.
 */
export const stateLayouts = (config: TrainerConfig, vocabSize: number): readonly StateLayout[] => {
  const { train } = config;
  const layout = trainedLayout(config, vocabSize);
  return [
    { name: weightsName, layout },
    ...optimizerLayouts(layout, train.optimizer),
    ...averageLayouts(layout, train.average),
  ];
};

/** Number of elements in all arrays. */
export const stateLength = (layouts: readonly StateLayout[]): number =>
  layouts.reduce((sum, { layout }) => sum + layout.length, 0);

/** An array of the state in a backend's memory. `read` returns the values at the time of the call. */
export interface StatePart extends StateLayout {
  readonly read: ReadValues;
}

/** Access to a trainer's state. Read it before the trainer's next step. */
export interface TrainerSnapshot {
  readonly weights: StatePart;
  /** The optimizer's arrays, then the arrays of the average. */
  readonly optimizer: readonly StatePart[];
}

/** The state in host memory: each whole array by its name. */
export type StateArrays = ReadonlyMap<string, Float32Array>;

/** Reads all elements of an array of the state. */
export const readPart = ({ layout, read }: StatePart): Promise<Float32Array> => read(0, layout.length);

/** Copies a state to host memory. */
export const readSnapshot = async ({ weights, optimizer }: TrainerSnapshot): Promise<StateArrays> => {
  const arrays = new Map<string, Float32Array>();
  for (const part of [weights, ...optimizer]) arrays.set(part.name, await readPart(part));
  return arrays;
};
