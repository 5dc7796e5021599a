import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { CheckpointError } from "../../core/errors.ts";
import { isRecord } from "../../core/is-record.ts";
import { hasCheckpoint, readCheckpoint, recoverCheckpoint } from "../../io/checkpoint.node.ts";
import { filterJsonLines } from "../../io/jsonl.node.ts";
import { readSafetensors } from "../../io/safetensors.ts";
import { modelLayout } from "../../models/model.ts";
import { checkFormatVersion, checkJson, parseJson } from "../../pretrained/checkpoint-json.ts";
import { parsePretrained, pretrainedNames } from "../../pretrained/parse.ts";
import type { Tokenizer } from "../../tokenizer/tokenizer.ts";
import type { RunConfig } from "../config.ts";
import { isEvaluationDue, type Progress } from "../progress.ts";
import type { Snapshot } from "../run.ts";
import { folderNames } from "./folder-names.ts";
import { momentsFrom } from "./optimizer-file.ts";
import {
  descriptionSchema,
  isFolder,
  openRunFolder,
  type RunData,
  type RunFolder,
  stateSchema,
} from "./run-folder.node.ts";

/** What a run's folder says of itself. */
export interface RunDescription {
  readonly config: RunConfig;
  readonly data: RunData;
}

const versioned = z.object({ formatVersion: z.int() });

/** Parses and checks JSON of a run; the version goes first, since a later one may have keys that are unknown here. */
const parseVersioned = <Schema extends z.ZodType>(schema: Schema, bytes: Uint8Array, where: string) => {
  const json = parseJson(bytes, where);
  const version = versioned.safeParse(json);
  if (version.success) checkFormatVersion(version.data.formatVersion, where);
  return checkJson(schema, json, where);
};

/** @throws CheckpointError when `path` is no run's folder or its description is damaged. */
export const readRunDescription = async (path: string): Promise<RunDescription> => {
  if (!(await isFolder(path))) {
    throw new CheckpointError({
      where: `resume ${path}`,
      must: "must name a run's folder",
      got: "no such folder",
      hint: "the folder that train named in its first lines",
    });
  }
  const where = join(path, folderNames.description);
  if (!(await readdir(path)).includes(folderNames.description)) {
    throw new CheckpointError({
      where: path,
      must: `a run's folder must have ${folderNames.description}`,
      got: "no such file",
      hint: "the run's folder itself, not its checkpoint",
    });
  }
  const { [folderNames.description]: bytes } = await readCheckpoint(path, [folderNames.description]);
  return parseVersioned(descriptionSchema, bytes, where);
};

/** Which noted events a run resumed at `step` keeps: those that it would have written without the interruption. */
const belongsBefore =
  (progress: Progress, train: RunConfig["train"]) =>
  (event: unknown): boolean =>
    isRecord(event) &&
    typeof event.step === "number" &&
    event.step <= progress.step &&
    event.type !== "done" &&
    event.reason !== "interrupted" &&
    // A checkpoint between those of the plan, or before its step's evaluation, was written because the run was stopped.
    !(
      event.type === "checkpoint" &&
      (event.step % train.checkpointInterval !== 0 ||
        (event.step === progress.step && isEvaluationDue(progress, train)))
    );

/** A run read back from its folder, and the folder opened to go on with it. */
export interface ResumedRun {
  /** The last checkpoint; null for a run that was ended before its first: it begins again. */
  readonly saved: { readonly snapshot: Snapshot; readonly tokenizer: Tokenizer } | null;
  /** @param tokenizer that of the checkpoint, where there is one. */
  open(tokenizer: Tokenizer): Promise<RunFolder>;
}

const checkSame = (where: string, one: unknown, description: unknown): void => {
  if (JSON.stringify(one) === JSON.stringify(description)) return;
  throw new CheckpointError({
    where,
    must: `the checkpoint's config must be that of ${folderNames.description}`,
    got: "another one",
    hint: "undoing the change",
  });
};

/**
 * Reads the last checkpoint of the run in `path`. Nothing is changed before `open`.
 * @throws CheckpointError when a file is missing or damaged, or the checkpoint is of another config.
 */
export const readRun = async (path: string, { config, data }: RunDescription): Promise<ResumedRun> => {
  const directory = join(path, folderNames.checkpoint);
  const metrics = join(path, folderNames.metrics);
  if (!(await hasCheckpoint(directory))) {
    return {
      saved: null,
      async open(tokenizer) {
        await filterJsonLines(metrics, () => false);
        return openRunFolder(path, { config, tokenizer, data }, true);
      },
    };
  }
  const own = ["trainer_state.json", "optimizer.safetensors"] as const;
  // Read together: what a writer puts in its place meanwhile is of another step.
  const files = await readCheckpoint(directory, [...own, ...pretrainedNames]);
  const stateWhere = join(directory, "trainer_state.json");
  const { progress, config: saved } = parseVersioned(stateSchema, files["trainer_state.json"], stateWhere);
  checkSame(stateWhere, saved, config);
  const { tokenizer, values, config: model } = parsePretrained(directory, files);
  checkSame(join(directory, "config.json"), model, config.model);
  const layout = modelLayout(config.model, tokenizer.vocabSize);
  const optimizerWhere = join(directory, "optimizer.safetensors");
  const { tensors } = readSafetensors(files["optimizer.safetensors"], optimizerWhere);
  const m = momentsFrom(layout, "m", tensors, optimizerWhere);
  const v = momentsFrom(layout, "v", tensors, optimizerWhere);
  return {
    saved: { snapshot: { progress, values, m, v }, tokenizer },
    async open() {
      await recoverCheckpoint(directory);
      await filterJsonLines(metrics, belongsBefore(progress, config.train));
      return openRunFolder(path, { config, tokenizer, data }, false);
    },
  };
};
