/** What a run with adapters (LoRA) has besides others. */

import type { RunConfig, TrainConfig } from "../../config/config.ts";
import type { PartialConfig } from "../../config/merge.ts";
import { merge } from "../../config/merge.ts";
import { isRecord } from "../../core/checks/is-record.ts";
import { ConfigError } from "../../core/errors/errors.ts";
import type { HandOut } from "../run/callbacks.ts";

/**
 * How adapters are trained, in place of a preset's or a text's values: a rate and a rule that suit matrices which begin as
 * nothing beside weights that know a language already (PEFT's examples have these).
 */
const adapterTraining: PartialConfig<TrainConfig> = {
  learningRate: 2e-4,
  schedule: { kind: "cosine", minLearningRate: 0 },
  optimizer: { kind: "adamw", beta1: 0.9, beta2: 0.999, eps: 1e-8, weightDecay: 0 },
};

/** Whether changes ask for adapters. */
export const asksForLora = (changes: unknown): boolean => isRecord(changes) && changes.lora !== undefined;

/** A default configuration for `changes`, which are not merged: that of adapters if they ask for them. */
export const withLoraDefaults = (config: unknown, changes: unknown): unknown =>
  asksForLora(changes) ? merge(config, { train: adapterTraining }) : config;

/**
 * @throws ConfigError unless the callback that gets checkpoints is the one for them: those of a run with adapters are no
 *   models.
 */
export const checkHandOut = ({ lora }: RunConfig, { onCheckpoint, onAdapter }: HandOut): void => {
  const refuse = (name: string, must: string, got: string, hint: string): never => {
    throw new ConfigError({ where: `train: ${name}`, must, got, hint });
  };
  if (lora === undefined) {
    if (onAdapter === undefined) return;
    refuse(
      "onAdapter",
      "must go with config.lora, which makes adapters",
      "a run that trains all weights",
      "onCheckpoint",
    );
  }
  if (onCheckpoint === undefined) return;
  refuse("onCheckpoint", "must not be given with config.lora, whose checkpoints are adapters", "both", "onAdapter");
};

/**
 * @param keepBlocks the option.
 * @throws ConfigError if it is given without adapters: weights that are trained are numbers.
 */
export const checkKeptBlocks = ({ lora }: RunConfig, keepBlocks: boolean | undefined): void => {
  if (keepBlocks === undefined || lora !== undefined) return;
  throw new ConfigError({
    where: "keepBlocks",
    must: "must go with adapters: weights that are trained are numbers in any case",
    got: "a run that trains all weights",
    hint: "leaving it out",
  });
};

/**
 * @param isGiven whether the run begins with the weights of a model.
 * @throws ConfigError for adapters without a model that they are beside, or with the callback of others.
 */
export const checkLora = (config: RunConfig, isGiven: boolean, callbacks: HandOut): void => {
  checkHandOut(config, callbacks);
  if (config.lora === undefined || isGiven) return;
  throw new ConfigError({
    where: "config.lora",
    must: "adapters must go with the model whose weights stay as they are",
    got: "a model that begins without weights",
    hint: "initFrom MODEL",
  });
};
