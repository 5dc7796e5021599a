/** What a run with adapters (LoRA) has besides others. */
import { ConfigError } from "../../core/errors.ts";
import { isRecord } from "../../core/is-record.ts";
import type { RunConfig, TrainConfig } from "../config/config.ts";
import type { PartialConfig } from "../config/merge.ts";
import { merge } from "../config/merge.ts";

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
 * @param isGiven whether the run begins with the weights of a model.
 * @param onCheckpoint gets whole models: those of a run with adapters are none.
 * @throws ConfigError for adapters without a model that they are beside, or with that callback.
 */
export const checkLora = ({ lora }: RunConfig, isGiven: boolean, onCheckpoint: unknown): void => {
  if (lora === undefined) return;
  if (onCheckpoint !== undefined) {
    throw new ConfigError({
      where: "train: onCheckpoint",
      must: "must not be given with config.lora, whose checkpoints are adapters and no models",
      got: "both",
      hint: "out FOLDER",
    });
  }
  if (isGiven) return;
  throw new ConfigError({
    where: "config.lora",
    must: "adapters must go with the model whose weights stay as they are",
    got: "a model that begins without weights",
    hint: "initFrom MODEL",
  });
};
