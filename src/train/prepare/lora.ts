/** Settings and checks of a run with adapters (LoRA). */

import type { RunConfig, TrainConfig } from "../../config/config.ts";
import type { PartialConfig } from "../../config/merge.ts";
import { merge } from "../../config/merge.ts";
import { isRecord } from "../../core/checks/is-record.ts";
import { ConfigError } from "../../core/errors/errors.ts";
import type { HandOut } from "../run/callbacks.ts";

/**
 * Training settings of adapters; they replace the settings of the preset or of the text. Learning rate and optimizer
 * are from PEFT's examples. They suit matrices that start at zero and are added to trained weights.
 */
const adapterTraining: PartialConfig<TrainConfig> = {
  learningRate: 2e-4,
  schedule: { kind: "cosine", minLearningRate: 0 },
  optimizer: { kind: "adamw", beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0 },
};

/** Whether the changes ask for adapters. */
export const asksForLora = (changes: unknown): boolean => isRecord(changes) && changes.lora !== undefined;

/** Adds the default training settings of adapters, if `changes` ask for adapters. `changes` are not merged here. */
export const withLoraDefaults = (config: unknown, changes: unknown): unknown =>
  asksForLora(changes) ? merge(config, { train: adapterTraining }) : config;

/**
 * @throws ConfigError for the wrong callback: checkpoints of a run with adapters go to `onAdapter`, checkpoints of a
 * whole model to `onCheckpoint`.
 */
export const checkHandOut = ({ lora }: RunConfig, { onCheckpoint, onAdapter }: HandOut): void => {
  const refuse = (name: string, must: string, got: string, hint: string): never => {
    throw new ConfigError({ where: `train: ${name}`, must, got, hint });
  };
  if (lora === undefined) {
    if (onAdapter === undefined) return;
    refuse(
      "onAdapter",
      "must be used with config.lora, which makes adapters",
      "a run without adapters",
      "onCheckpoint",
    );
  }
  if (onCheckpoint === undefined) return;
  refuse("onCheckpoint", "must not be given with config.lora, whose checkpoints are adapters", "both", "onAdapter");
};

/**
 * @param keepBlocks the option.
 * @throws ConfigError if the option is given without adapters: trained weights are plain numbers, never blocks.
 */
export const checkKeptBlocks = ({ lora }: RunConfig, keepBlocks: boolean | undefined): void => {
  if (keepBlocks === undefined || lora !== undefined) return;
  throw new ConfigError({
    where: "keepBlocks",
    must: "must be used with adapters: a run that trains all weights never keeps blocks",
    got: "a run without adapters",
    hint: "leaving it out",
  });
};

/**
 * @param isGiven whether the run starts from the weights of a model.
 * @throws ConfigError for adapters without a base model, or with the wrong callback.
 */
export const checkLora = (config: RunConfig, isGiven: boolean, callbacks: HandOut): void => {
  checkHandOut(config, callbacks);
  if (config.lora === undefined || isGiven) return;
  throw new ConfigError({
    where: "config.lora",
    must: "adapters must be used with a base model, whose weights stay frozen",
    got: "a model with random weights",
    hint: "initFrom MODEL",
  });
};
