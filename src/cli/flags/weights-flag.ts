import { type Command, Option } from "commander";
import { type ModelParts, weightsNames } from "../model/checkpoint-path.ts";
import { parseChoice, parsePath } from "./flags.ts";

/** Adds the flags for the weights of a model. */
export interface WeightsFlag extends ModelParts {}

/** Adds the flag for the base model of an adapter. */
export const baseFlag = (command: Command): Command =>
  command.option(
    "--base <model>",
    "the base model of the adapter (default: the model that the adapter names)",
    parsePath("--base"),
  );

/** Adds the flag --no-base-check. This flag allows an adapter on other base weights than in training. */
export const baseCheckFlag = (command: Command): Command =>
  command.option(
    "--no-base-check",
    "allow any base weights of the right shape for an adapter (default: only the weights that the adapter was trained on; their SHA-256 is in adapters that Foretoken wrote, but not in GGUF files)",
  );

/** Adds the flags for adapters. */
export const addAdapterFlags = (command: Command): Command =>
  baseFlag(
    command.option(
      "--adapter <dir>",
      "a LoRA adapter for the model: a folder written by PEFT, a GGUF file, or a run's folder (default: none)",
      parsePath("--adapter"),
    ),
  );

export const weightsOption = (): Option =>
  new Option(
    "--weights <name>",
    "for a run's folder: best (the weights with the lowest validation loss), last (the last checkpoint) or averaged (the average with the lowest validation loss) (default: best if it exists, else last)",
  ).argParser(parseChoice("--weights", weightsNames));

export const addWeightsFlag = (command: Command): Command =>
  baseCheckFlag(addAdapterFlags(command.optionsGroup("Model: weights and adapter").addOption(weightsOption())));
