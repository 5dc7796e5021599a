/** Reads the state of a run from the files of one of its checkpoints. */

import type { RunConfig } from "../../config/config.ts";
import { earlierConfigs } from "../../config/extend.ts";
import { isRecord } from "../../core/checks/is-record.ts";
import { CheckpointError } from "../../core/errors/errors.ts";
import type { Manifest } from "../../io/manifest.ts";
import { readSafetensors } from "../../io/safetensors.ts";
import { parseJson } from "../../pretrained/files/checkpoint-json.ts";
import type { KeptFacts } from "../../pretrained/files/pretrained-files.ts";
import type { Tokenizer } from "../../tokenizer/tokenizer.ts";
import { type StateArrays, stateLayouts, weightsName } from "../../trainer/state.ts";
import { checkVersioned, type RunDescription } from "../description.ts";
import { stateSchema } from "../run-schemas.ts";
import { checkSame, isSame } from "../same-config.ts";
import type { ResumedState } from "../store.ts";
import { momentsFrom } from "../write/optimizer-file.ts";
import { optimizerName, stateName } from "../write/state-files.ts";
import type { SavedWeights } from "./saved-weights.ts";

/** The state of a run in its checkpoint. */
export interface SavedRun {
  readonly state: ResumedState;
  readonly tokenizer: Tokenizer;
  readonly facts: KeptFacts;
}

/** The files of a checkpoint, after the comparison with the manifest. */
export interface CheckpointRead {
  /** Place of the checkpoint, for errors. */
  readonly directory: string;
  readonly state: Uint8Array;
  readonly optimizer: Uint8Array;
  /** Null if the checkpoint has no manifest. */
  readonly manifest: Manifest | null;
  weights(): Promise<SavedWeights>;
  /** SHA-256 of a configuration, as in manifests. */
  configHash(config: unknown): string | Promise<string>;
}

/** Refuses files if their step or configuration differs from the manifest. */
const checkBinding = async (
  { manifest, configHash }: Pick<CheckpointRead, "manifest" | "configHash">,
  step: number,
  config: unknown,
  where: string,
): Promise<void> => {
  const run = manifest?.run;
  if (run === null || run === undefined) return;
  if (run.step === step && run.config === (await configHash(config))) return;
  throw new CheckpointError({
    where,
    must: "the step and the configuration must match the checkpoint's manifest",
    got: run.step === step ? "another configuration" : `step ${step} with a manifest of step ${run.step}`,
    hint: "a complete copy of the folder",
  });
};

/** Returns the arrays once and then releases them. So their memory is free after the backend has copied them. */
const givenOnce = (arrays: StateArrays): (() => StateArrays) => {
  let kept: StateArrays | undefined = arrays;
  return () => {
    const given = kept;
    if (given === undefined) throw new Error("a checkpoint's arrays can be taken only once");
    kept = undefined;
    return given;
  };
};

/**
 * Refuses a checkpoint of a plan that the run no longer follows: the run went back to an earlier step and got another
 * number of steps.
 */
const checkPlan = (directory: string, saved: unknown, { train, ...others }: RunConfig): void => {
  if (!isRecord(saved) || !isRecord(saved.train)) return;
  const { steps, extensions: _, ...rest } = saved.train;
  const { steps: planned, extensions: __, ...expected } = train;
  if (!isSame({ ...saved, train: rest }, { ...others, train: expected })) return;
  throw new CheckpointError({
    where: directory,
    must: `the checkpoint must belong to the run's plan of ${planned} steps`,
    got: `a checkpoint of a plan ${steps === planned ? "that was extended in another way" : `of ${steps} steps`}, which the run no longer follows`,
    hint: "a new run with initFrom",
  });
};

/** @throws CheckpointError if the files belong to another configuration or step than the run. */
export const savedRunOf = async (read: CheckpointRead, { config }: RunDescription): Promise<SavedRun> => {
  const { directory } = read;
  const stateWhere = `${directory}/${stateName}`;
  const stateJson = parseJson(read.state, stateWhere);
  const { progress, config: saved } = checkVersioned(stateSchema, stateJson, stateWhere);
  // Hash the configuration in the file. The parsed configuration has defaults for missing fields, so its hash could
  // differ.
  await checkBinding(read, progress.step, isRecord(stateJson) ? stateJson.config : undefined, stateWhere);
  // If the run was extended after this checkpoint, the checkpoint has the run's earlier configuration.
  const earlier = earlierConfigs(config).find(({ until, config: one }) => progress.step <= until && isSame(saved, one));
  if (earlier === undefined && !isSame(saved, config)) {
    checkPlan(directory, saved, config);
    checkSame(stateWhere, saved, config);
  }
  const { tokenizer, values, facts } = await read.weights();
  const optimizerWhere = `${directory}/${optimizerName}`;
  const { tensors } = readSafetensors(read.optimizer, optimizerWhere);
  const arrays = new Map([[weightsName, values]]);
  for (const part of stateLayouts(config, tokenizer.vocabSize)) {
    if (part.name !== weightsName) arrays.set(part.name, momentsFrom(part, tensors, progress.step, optimizerWhere));
  }
  return { state: { progress, take: givenOnce(arrays) }, tokenizer, facts };
};
