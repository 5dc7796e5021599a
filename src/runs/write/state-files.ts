/** The files of a resumable checkpoint, in addition to the weights. */
import type { RunConfig } from "../../config/config.ts";
import { safetensorsPieces } from "../../io/safetensors.ts";
import { formatVersion, jsonText } from "../../pretrained/files/checkpoint-json.ts";
import type { SavedState } from "../store.ts";
import { momentTensors } from "./optimizer-file.ts";

export const optimizerName = "optimizer.safetensors";
export const stateName = "trainer_state.json";

export const stateFiles: readonly string[] = [optimizerName, stateName];

/** Contents of the additional files: the optimizer's running means, and the run's configuration and position. */
export const stateContents = (
  config: RunConfig,
  { optimizer, progress }: Pick<SavedState, "optimizer" | "progress">,
) => ({
  [optimizerName]: safetensorsPieces(optimizer.flatMap(momentTensors)),
  [stateName]: jsonText({ formatVersion, config, progress }),
});
