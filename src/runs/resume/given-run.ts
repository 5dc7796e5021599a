/** Reads a run from files in memory: the files of the last checkpoint, as `onCheckpoint` got them. */

import { isRecord } from "../../core/checks/is-record.ts";
import { CheckpointError, ConfigError } from "../../core/errors/errors.ts";
import { alternatives } from "../../core/text/alternatives.ts";
import { show } from "../../core/text/show.ts";
import { parseLine } from "../../io/json-line.ts";
import { manifestName } from "../../io/manifest.ts";
import { canDigest, checkManifest, manifestIn } from "../../io/manifest-in-memory.ts";
import { adapterConfigName } from "../../pretrained/adapter/names.ts";
import { parseJson } from "../../pretrained/files/checkpoint-json.ts";
import { type CheckpointFiles, neededFiles, pretrainedNames, textFileNames } from "../../pretrained/files/names.ts";
import { checkVersioned, type RunDescription } from "../description.ts";
import { folderNames } from "../folder-names.ts";
import { descriptionSchema } from "../run-schemas.ts";
import { configHashInMemory } from "../same-config.ts";
import { optimizerName, stateFiles, stateName } from "../write/state-files.ts";
import { type SavedRun, savedRunOf } from "./saved-state.ts";
import { modelOf } from "./saved-weights.ts";

/** A run that was read from its files. */
export interface GivenRun {
  readonly description: RunDescription;
  readonly saved: SavedRun;
  /** The run's event log, one value per line. */
  readonly notes: readonly unknown[];
}

/** Name of the files in errors. */
const directory = "checkpoint";

/** Files that are needed to resume a run. */
const needed = [...pretrainedNames, ...stateFiles, folderNames.description] as const;

/** All files that are read. One of these files identifies a run with adapters, which is refused. */
export const filesToResume = (files: CheckpointFiles): CheckpointFiles => {
  const ofRun = [...stateFiles, folderNames.description, folderNames.metrics, adapterConfigName];
  const found = ofRun.flatMap((name) => (files[name] === undefined ? [] : [[name, files[name]] as const]));
  return { ...neededFiles(files), ...Object.fromEntries(found) };
};

/** Whether a value is an object of files. */
export const isFiles = (value: unknown): value is Readonly<Record<string, Uint8Array>> =>
  isRecord(value) && Object.values(value).every((file) => file instanceof Uint8Array);

const noAdapters = {
  must: "the run must train all weights, to resume from files in memory",
  got: "a run that trains an adapter",
  hint: "resuming the run's folder in Node",
} as const;

/** @throws ConfigError if `files` are not the files of a checkpoint that can be resumed */
export const checkGivenRun = (files: unknown, where: string): void => {
  if (!isFiles(files)) {
    throw new ConfigError({
      where,
      must: "must be an object with the files that onCheckpoint got, as Uint8Arrays",
      got: show(files),
    });
  }
  const missing = needed.filter((name) => files[name] === undefined);
  if (missing.length === 0) return;
  if (files[adapterConfigName] !== undefined) throw new ConfigError({ where, ...noAdapters });
  throw new ConfigError({
    where,
    must: "must have all files of a run's last checkpoint",
    got: `no file named ${alternatives(missing)}`,
    hint: "the files of the last onCheckpoint call, or runFromFolder with the folder of a run",
  });
};

const configHash = async (config: unknown): Promise<string> => (await configHashInMemory(config)) ?? "";

/**
 * Reads a run from the files of its last checkpoint. Call `checkGivenRun` first.
 * @throws CheckpointError for a damaged file, or a file of another run or step.
 */
export const readGivenRun = async (files: CheckpointFiles): Promise<GivenRun> => {
  const fileOf = (name: string): Uint8Array => files[name] ?? new Uint8Array();
  const optional = textFileNames.filter((name) => files[name] !== undefined);
  await checkManifest(files, [...pretrainedNames, ...stateFiles, ...optional], directory);
  const json = parseJson(fileOf(folderNames.description), folderNames.description);
  const description = checkVersioned(descriptionSchema, json, folderNames.description);
  if (description.config.lora !== undefined) {
    throw new CheckpointError({ where: folderNames.description, ...noAdapters });
  }
  const manifest = canDigest() && files[manifestName] !== undefined ? manifestIn(fileOf(manifestName)) : undefined;
  const saved = await savedRunOf(
    {
      directory,
      ...{ state: fileOf(stateName), optimizer: fileOf(optimizerName), configHash, manifest: manifest ?? null },
      weights: () => modelOf(files, directory, manifest !== undefined, description.config),
    },
    description,
  );
  const notes = new TextDecoder().decode(fileOf(folderNames.metrics)).split("\n").map(parseLine);
  return { description, saved, notes: notes.filter((note) => note !== undefined) };
};
