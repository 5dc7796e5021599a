import { type Command, Option } from "commander";
import { type ModelParts, weightsNames } from "../model/checkpoint-path.ts";
import { parseChoice, parsePath } from "./flags.ts";

/** The flags for the weights of a model. */
export interface WeightsFlag extends ModelParts {}

/** The flag for the model of an adapter. */
export const baseFlag = (command: Command): Command =>
  command.option(
    "--base <model>",
    "the model that the named adapter is for (default: the one that the adapter names)",
    parsePath("--base"),
  );

/** The flag for an adapter on a model that it was not trained on. */
export const baseCheckFlag = (command: Command): Command =>
  command.option(
    "--no-base-check",
    "put an adapter on any weights that fit, not only on those that it was trained on, by their SHA-256",
  );

/** The flags for adapters. */
export const addAdapterFlags = (command: Command): Command =>
  baseFlag(
    command.option(
      "--adapter <dir>",
      "a LoRA adapter for the model: a folder that PEFT wrote, a GGUF file, or a run's (default: none)",
      parsePath("--adapter"),
    ),
  );

export const weightsOption = (): Option =>
  new Option(
    "--weights <name>",
    "of a run's folder: best, with the lowest validation loss, or last, of its last checkpoint (default: best, where there are any)",
  ).argParser(parseChoice("--weights", weightsNames));

export const addWeightsFlag = (command: Command): Command =>
  baseCheckFlag(addAdapterFlags(command.optionsGroup("Model: its weights, and an adapter").addOption(weightsOption())));
