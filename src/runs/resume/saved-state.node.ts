/** Reads the state of a run from one of its checkpoints on disk. */

import { readCheckpoint } from "../../io/read-checkpoint.node.ts";
import { adapterConfigName, adapterWeightsName } from "../../pretrained/adapter/names.ts";
import { pretrainedNames, textFileNames } from "../../pretrained/files/names.ts";
import { uncheckedNotice } from "../../pretrained/open.node.ts";
import type { RunDescription } from "../description.ts";
import { configHash } from "../same-config.node.ts";
import { type SavedRun, savedRunOf } from "./saved-state.ts";
import { adaptersOf, type BaseModel, modelOf } from "./saved-weights.ts";

/** @throws CheckpointError if a file is missing or damaged, or if it belongs to another configuration or step. */
export const readSaved = async (
  directory: string,
  description: RunDescription,
  onNotice: (line: string) => void,
  base: BaseModel | null,
): Promise<SavedRun> => {
  const { config } = description;
  const own = ["trainer_state.json", "optimizer.safetensors"] as const;
  // Read all files together, because another process may replace the checkpoint meanwhile.
  const read = async () => {
    if (base === null) {
      const { files, manifest } = await readCheckpoint(directory, [...own, ...pretrainedNames], textFileNames);
      return { files, manifest, weights: () => modelOf(files, directory, manifest !== null, config) };
    }
    const { files, manifest } = await readCheckpoint(directory, [...own, adapterConfigName, adapterWeightsName]);
    return { files, manifest, weights: () => adaptersOf(files, directory, config, base) };
  };
  const { files, manifest, weights } = await read();
  if (manifest === null) await onNotice(uncheckedNotice(directory));
  const [state, optimizer] = [files["trainer_state.json"], files["optimizer.safetensors"]];
  return savedRunOf({ directory, state, optimizer, manifest, weights, configHash }, description);
};
