import { type Command, Option } from "commander";
import { type WeightsName, weightsNames } from "./checkpoint-path.ts";
import { parseChoice } from "./flags.ts";

/** The flag for the weights of a run. */
export interface WeightsFlag {
  /** Undefined if the user did not say. */
  readonly weights?: WeightsName;
}

export const addWeightsFlag = (command: Command): Command =>
  command
    .optionsGroup("Model:")
    .addOption(
      new Option(
        "--weights <name>",
        "of a run's folder: best, with the lowest validation loss, or last, of its last checkpoint (default: best, where there are any)",
      ).argParser(parseChoice("--weights", weightsNames)),
    );
