/**
 * A trainer's state, all that its next step depends on besides its number: weights and the optimizer's running means. With
 * adapters the weights are theirs: those of the base do not change.
 */

import type { TrainerConfig } from "../config/config.ts";
import type { ArenaLayout, ReadValues } from "../models/arena.ts";
import { loraLayout } from "../models/lora/layout.ts";
import { modelLayout } from "../models/model.ts";
import { optimizerLayouts } from "../optim/state.ts";

/** One array of the state, and where each parameter lies in it. */
export interface StateLayout {
  /** `values` for the weights that are trained; else the optimizer's name. */
  readonly name: string;
  readonly layout: ArenaLayout;
}

export const weightsName = "values";

/** The weights that a trainer changes: the model's, or those of its adapters. */
export const trainedLayout = (
  { model, lora }: Pick<TrainerConfig, "model" | "lora">,
  vocabSize: number,
): ArenaLayout => (lora === undefined ? modelLayout(model, vocabSize) : loraLayout(model, lora));

/** The arrays of a trainer's state, without a trainer: the weights that it changes, then the optimizer's. */
export const stateLayouts = (config: TrainerConfig, vocabSize: number): readonly StateLayout[] => {
  const { train } = config;
  const layout = trainedLayout(config, vocabSize);
  return [{ name: weightsName, layout }, ...optimizerLayouts(layout, train.optimizer)];
};

/** Elements of all arrays. */
export const stateLength = (layouts: readonly StateLayout[]): number =>
  layouts.reduce((sum, { layout }) => sum + layout.length, 0);

/** An array of the state in a backend's memory: read piece by piece, as it is at that time. */
export interface StatePart extends StateLayout {
  readonly read: ReadValues;
}

/** A trainer's state, to be read before the trainer's next step. */
export interface TrainerSnapshot {
  readonly weights: StatePart;
  readonly optimizer: readonly StatePart[];
}

/** The state on the host: each array whole, by its name. */
export type StateArrays = ReadonlyMap<string, Float32Array>;

/** All elements of an array of the state. */
export const readPart = ({ layout, read }: StatePart): Promise<Float32Array> => read(0, layout.length);

/** Copies a state to the host. */
export const readSnapshot = async ({ weights, optimizer }: TrainerSnapshot): Promise<StateArrays> => {
  const arrays = new Map<string, Float32Array>();
  for (const part of [weights, ...optimizer]) arrays.set(part.name, await readPart(part));
  return arrays;
};
