import { access, constants, mkdir, readdir, stat, writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { z } from "zod";
import { CheckpointError, ConfigError } from "../core/errors.ts";
import { readCheckpoint, recoverCheckpoint, writeCheckpoint } from "../io/checkpoint.node.ts";
import { filterJsonLines, openJsonLines } from "../io/jsonl.node.ts";
import { readSafetensors, safetensorsChunks } from "../io/safetensors.ts";
import type { ArenaLayout } from "../models/arena.ts";
import { modelLayout } from "../models/model.ts";
import { checkFormatVersion, checkJson, formatVersion, jsonText, parseJson } from "../pretrained/checkpoint-json.ts";
import { readPretrained } from "../pretrained/load.node.ts";
import { pretrainedFiles } from "../pretrained/pretrained-files.ts";
import type { Tokenizer } from "../tokenizer/tokenizer.ts";
import { type RunConfig, runConfigSchema } from "./config.ts";
import type { TrainEvent } from "./events.ts";
import { progressSchema } from "./progress.ts";
import type { RunStore, Snapshot } from "./run.ts";

/**
 * A run's folder:
 *
 *     run.json        what was asked for: the config and the text (path and hash)
 *     metrics.jsonl   the events, a line each
 *     checkpoint/     the last checkpoint: a Hugging Face directory with trainer_state.json and optimizer.safetensors
 *     best/           the weights of the lowest validation loss: a Hugging Face directory
 */
export const folderNames = {
  description: "run.json",
  metrics: "metrics.jsonl",
  checkpoint: "checkpoint",
  best: "best",
} as const;

/** Which text a run reads, and how its resumption knows it again. */
const dataSchema = z.strictObject({
  data: z.string(),
  valData: z.string().nullable(),
  valFraction: z.number(),
  name: z.string(),
  sha256: z.string(),
  prompt: z.string(),
  finalSampleTokens: z.int().min(0),
});
export type RunData = z.infer<typeof dataSchema>;

const descriptionSchema = z.strictObject({
  formatVersion: z.int().positive(),
  config: runConfigSchema,
  data: dataSchema,
});

const stateSchema = z.strictObject({
  formatVersion: z.int().positive(),
  config: runConfigSchema,
  progress: progressSchema,
});

const isFolder = async (path: string): Promise<boolean> =>
  stat(path).then(
    (found) => found.isDirectory(),
    () => false,
  );

/** Fails unless a folder can be made below the first folder on the way up from `path` that is there. */
const checkWritable = async (path: string): Promise<void> => {
  let parent = dirname(resolve(path));
  while (parent !== dirname(parent) && (await stat(parent).catch(() => undefined)) === undefined)
    parent = dirname(parent);
  const writable = await access(parent, constants.W_OK).then(
    () => true,
    () => false,
  );
  if (writable && (await isFolder(parent))) return;
  throw new ConfigError({
    where: `--out ${path}`,
    must: "the folder must be in one that can be written to",
    got: writable ? `${parent}, which is a file` : `${parent}, which cannot`,
    hint: "another folder",
  });
};

/**
 * Fails unless `path` can become a run's folder: it is free, or an empty folder.
 * @throws ConfigError when something is there or it cannot be made. Nothing is changed.
 */
export const checkFree = async (path: string): Promise<void> => {
  const found = await stat(path).catch(() => undefined);
  if (found === undefined) {
    await checkWritable(path);
    return;
  }
  const entries = found.isDirectory() ? await readdir(path) : undefined;
  if (entries?.length === 0) return;
  const isRun = entries?.includes(folderNames.description) === true;
  throw new ConfigError({
    where: `--out ${path}`,
    must: "the folder must be new or empty",
    got: entries === undefined ? "a file" : isRun ? "a run" : "a folder with other files",
    hint: isRun ? `another folder, or --resume ${path}` : "another folder",
  });
};

const momentTensors = (layout: ArenaLayout, kind: "m" | "v", values: Float32Array) =>
  layout.parameters.map(({ name, shape, offset, size }) => ({
    name: `${kind}.${name}`,
    shape,
    data: values.subarray(offset, offset + size),
  }));

const momentsFrom = (
  layout: ArenaLayout,
  kind: "m" | "v",
  tensors: ReturnType<typeof readSafetensors>["tensors"],
  where: string,
): Float32Array => {
  const values = new Float32Array(layout.length);
  for (const { name, shape, offset, size } of layout.parameters) {
    const tensor = tensors.get(`${kind}.${name}`);
    if (tensor === undefined || tensor.data.length !== size || tensor.shape.join() !== shape.join()) {
      throw new CheckpointError({
        where,
        must: `the file must hold ${kind}.${name} with shape [${shape.join(", ")}]`,
        got: tensor === undefined ? "no such tensor" : `[${tensor.shape.join(", ")}]`,
      });
    }
    values.set(tensor.data, offset);
  }
  return values;
};

const checkpointFiles = (config: RunConfig, tokenizer: Tokenizer, snapshot: Snapshot) => {
  const layout = modelLayout(config.model, tokenizer.vocabSize);
  const moments = [...momentTensors(layout, "m", snapshot.m), ...momentTensors(layout, "v", snapshot.v)];
  return {
    ...pretrainedFiles(config.model, tokenizer, snapshot.values),
    "optimizer.safetensors": safetensorsChunks(moments),
    "trainer_state.json": jsonText({ formatVersion, config, progress: snapshot.progress }),
  };
};

/** A run's folder opened for writing. */
export interface RunFolder extends RunStore {
  close(): Promise<void>;
}

interface OpenOptions {
  readonly config: RunConfig;
  readonly tokenizer: Tokenizer;
}

const openFolder = async (path: string, { config, tokenizer }: OpenOptions, first: boolean): Promise<RunFolder> => {
  const metrics = await openJsonLines(join(path, folderNames.metrics));
  return {
    path,
    // A resumed run's `start` would make its metrics differ from an uninterrupted one's.
    record: async (event) => {
      if (event.type !== "start" || first) await metrics.append(event);
    },
    async saveCheckpoint(snapshot) {
      await metrics.flush();
      const directory = join(path, folderNames.checkpoint);
      await writeCheckpoint(directory, checkpointFiles(config, tokenizer, snapshot));
      return directory;
    },
    saveBest: (values) =>
      writeCheckpoint(join(path, folderNames.best), pretrainedFiles(config.model, tokenizer, values)),
    close: () => metrics.close(),
  };
};

const makeFolder = async (path: string, options: OpenOptions & { data: RunData }): Promise<RunFolder> => {
  await checkFree(path);
  await mkdir(path, { recursive: true });
  const { config, data } = options;
  await writeFile(join(path, folderNames.description), jsonText({ formatVersion, config, data }), { flag: "wx" });
  return openFolder(path, options, true);
};

/**
 * A new run's folder. It is made when there is more to keep than the first event: a run that fails before its first
 * step is done, for want of memory say, leaves nothing behind.
 * @throws ConfigError when something is there by then.
 */
export const createRunFolder = (path: string, options: OpenOptions & { data: RunData }): RunFolder => {
  let made: Promise<RunFolder> | undefined;
  let first: TrainEvent | undefined;
  const folder = (): Promise<RunFolder> => {
    made ??= makeFolder(path, options).then(async (opened) => {
      if (first !== undefined) await opened.record(first);
      return opened;
    });
    return made;
  };
  return {
    path,
    record: async (event) => {
      if (event.type === "start") first = event;
      else await (await folder()).record(event);
    },
    saveCheckpoint: async (snapshot) => (await folder()).saveCheckpoint(snapshot),
    saveBest: async (values) => (await folder()).saveBest(values),
    close: async () => {
      // What it failed with has been thrown to the one who asked for it.
      await (await made?.catch(() => undefined))?.close();
    },
  };
};

/** What a run's folder says of itself. */
export interface RunDescription {
  readonly config: RunConfig;
  readonly data: RunData;
}

/** @throws CheckpointError when `path` is no run's folder or its description is damaged. */
export const readRunDescription = async (path: string): Promise<RunDescription> => {
  if (!(await isFolder(path))) {
    throw new CheckpointError({
      where: path,
      must: "--resume must name a run's folder",
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
  const description = checkJson(descriptionSchema, parseJson(bytes, where), where);
  checkFormatVersion(description.formatVersion, where);
  return description;
};

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === "object" && value !== null;

/** Which noted events a run resumed at `step` keeps: those that it would have written without the interruption. */
const belongsBefore =
  (step: number, checkpointInterval: number) =>
  (event: unknown): boolean =>
    isObject(event) &&
    typeof event.step === "number" &&
    event.step <= step &&
    event.type !== "done" &&
    event.reason !== "interrupted" &&
    // A checkpoint between those of the plan was written because the run was stopped there.
    !(event.type === "checkpoint" && event.step % checkpointInterval !== 0);

/** A run read back from its folder, and the folder opened to go on with it. */
export interface ResumedRun {
  readonly snapshot: Snapshot;
  readonly tokenizer: Tokenizer;
  open(): Promise<RunFolder>;
}

/**
 * Reads the last checkpoint of the run in `path`. Nothing is changed before `open`.
 * @throws CheckpointError when a file is missing or damaged, or the checkpoint is of another config.
 */
export const readRun = async (path: string, { config }: RunDescription): Promise<ResumedRun> => {
  const directory = join(path, folderNames.checkpoint);
  const files = await readCheckpoint(directory, ["trainer_state.json", "optimizer.safetensors"]);
  const stateWhere = join(directory, "trainer_state.json");
  const state = checkJson(stateSchema, parseJson(files["trainer_state.json"], stateWhere), stateWhere);
  checkFormatVersion(state.formatVersion, stateWhere);
  if (JSON.stringify(state.config) !== JSON.stringify(config)) {
    throw new CheckpointError({
      where: stateWhere,
      must: `the checkpoint's config must be that of ${folderNames.description}`,
      got: "another one",
      hint: "undoing the change",
    });
  }
  const { tokenizer, values } = await readPretrained(directory);
  const layout = modelLayout(config.model, tokenizer.vocabSize);
  const optimizerWhere = join(directory, "optimizer.safetensors");
  const { tensors } = readSafetensors(files["optimizer.safetensors"], optimizerWhere);
  const m = momentsFrom(layout, "m", tensors, optimizerWhere);
  const v = momentsFrom(layout, "v", tensors, optimizerWhere);
  return {
    snapshot: { progress: state.progress, values, m, v },
    tokenizer,
    async open() {
      await recoverCheckpoint(directory);
      await filterJsonLines(
        join(path, folderNames.metrics),
        belongsBefore(state.progress.step, config.train.checkpointInterval),
      );
      return openFolder(path, { config, tokenizer }, false);
    },
  };
};
