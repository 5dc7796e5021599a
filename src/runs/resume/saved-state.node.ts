/** The state of a run in one of its checkpoints. */

import { join } from "node:path";
import type { RunConfig } from "../../config/config.ts";
import { earlierConfigs } from "../../config/extend.ts";
import { isRecord } from "../../core/checks/is-record.ts";
import { CheckpointError } from "../../core/errors/errors.ts";
import type { Manifest } from "../../io/manifest.ts";
import { readCheckpoint } from "../../io/read-checkpoint.node.ts";
import { readSafetensors } from "../../io/safetensors.ts";
import { adapterConfigName, adapterWeightsName } from "../../pretrained/adapter/config.ts";
import { pretrainedNames } from "../../pretrained/files/checkpoint-files.ts";
import { parseJson } from "../../pretrained/files/checkpoint-json.ts";
import type { KeptFacts } from "../../pretrained/files/pretrained-files.ts";
import { uncheckedNotice } from "../../pretrained/open.node.ts";
import { textFileNames } from "../../pretrained/parse.ts";
import type { Tokenizer } from "../../tokenizer/tokenizer.ts";
import { type StateArrays, stateLayouts, weightsName } from "../../trainer/state.ts";
import { checkVersioned, type RunDescription } from "../description.node.ts";
import { stateSchema } from "../run-schemas.ts";
import { checkSame, configHash, isSame } from "../same-config.node.ts";
import type { ResumedState } from "../store.ts";
import { momentsFrom } from "../write/optimizer-file.ts";
import { adaptersOf, type BaseModel, modelOf } from "./saved-weights.node.ts";

/** A run, as its checkpoint has it. */
export interface SavedRun {
  readonly state: ResumedState;
  readonly tokenizer: Tokenizer;
  readonly facts: KeptFacts;
}

/** Fails for files of another step, or of another configuration, than the manifest's. */
const checkBinding = (manifest: Manifest | null, step: number, config: unknown, where: string): void => {
  const run = manifest?.run;
  if (run === null || run === undefined) return;
  if (run.step === step && run.config === configHash(config)) return;
  throw new CheckpointError({
    where,
    must: "the step and the configuration must be those of the checkpoint's manifest",
    got: run.step === step ? "another configuration" : `step ${step} with a manifest of step ${run.step}`,
    hint: "a complete copy of the folder",
  });
};

/** Returned once, so that nobody keeps the arrays once they are in the backend. */
const givenOnce = (arrays: StateArrays): (() => StateArrays) => {
  let kept: StateArrays | undefined = arrays;
  return () => {
    const given = kept;
    if (given === undefined) throw new Error("a checkpoint's arrays are given once");
    kept = undefined;
    return given;
  };
};

/** Fails for a checkpoint of a plan that the run has left: it went back and was given other steps. */
const checkPlan = (directory: string, saved: unknown, { train, ...others }: RunConfig): void => {
  if (!isRecord(saved) || !isRecord(saved.train)) return;
  const { steps, extensions: _, ...rest } = saved.train;
  const { steps: planned, extensions: __, ...expected } = train;
  if (!isSame({ ...saved, train: rest }, { ...others, train: expected })) return;
  throw new CheckpointError({
    where: directory,
    must: `the checkpoint must be of the run's plan, ${planned} steps`,
    got: `one ${steps === planned ? "extended otherwise" : `of ${steps} steps`}, which the run has left`,
    hint: "a new run with initFrom",
  });
};

/** @throws CheckpointError if a file is missing or damaged, or of another configuration or step. */
export const readSaved = async (
  directory: string,
  { config }: RunDescription,
  onNotice: (line: string) => void,
  base: BaseModel | null,
): Promise<SavedRun> => {
  const own = ["trainer_state.json", "optimizer.safetensors"] as const;
  // Read together: a writer may replace the checkpoint meanwhile by one of another step.
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
  const stateWhere = join(directory, "trainer_state.json");
  const stateJson = parseJson(files["trainer_state.json"], stateWhere);
  const { progress, config: saved } = checkVersioned(stateSchema, stateJson, stateWhere);
  // Hash of the file as it is: a later version fills in fields that the file lacks.
  checkBinding(manifest, progress.step, isRecord(stateJson) ? stateJson.config : undefined, stateWhere);
  // A checkpoint from before the run was extended has the configuration of that time.
  const earlier = earlierConfigs(config).find(({ until, config: one }) => progress.step <= until && isSame(saved, one));
  if (earlier === undefined && !isSame(saved, config)) {
    checkPlan(directory, saved, config);
    checkSame(stateWhere, saved, config);
  }
  const { tokenizer, values, facts } = await weights();
  const optimizerWhere = join(directory, "optimizer.safetensors");
  const { tensors } = readSafetensors(files["optimizer.safetensors"], optimizerWhere);
  const arrays = new Map([[weightsName, values]]);
  for (const part of stateLayouts(config, tokenizer.vocabSize)) {
    if (part.name !== weightsName) arrays.set(part.name, momentsFrom(part, tensors, optimizerWhere));
  }
  return { state: { progress, take: givenOnce(arrays) }, tokenizer, facts };
};
