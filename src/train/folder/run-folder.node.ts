import { access, appendFile, constants, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { z } from "zod";
import { ConfigError } from "../../core/errors.ts";
import { systemErrorCode } from "../../core/system-error.ts";
import { writeCheckpoint } from "../../io/checkpoint.node.ts";
import { makeFolders } from "../../io/files.node.ts";
import { openJsonLines, readJsonLines } from "../../io/jsonl.node.ts";
import { safetensorsChunks } from "../../io/safetensors.ts";
import { modelLayout } from "../../models/model.ts";
import { formatVersion, jsonText } from "../../pretrained/checkpoint-json.ts";
import { pretrainedFiles } from "../../pretrained/pretrained-files.ts";
import type { Tokenizer } from "../../tokenizer/tokenizer.ts";
import { type RunConfig, runConfigSchema } from "../config.ts";
import type { TrainEvent } from "../events.ts";
import { progressSchema } from "../progress.ts";
import type { RunStore, Snapshot } from "../run.ts";
import { folderNames } from "./folder-names.ts";
import { type NotedEvent, type NotedSample, parseNoted } from "./noted-events.ts";
import { momentTensors } from "./optimizer-file.ts";
import { goOn, newStory, readmeMark, runReadme } from "./run-readme.ts";

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

/** `run.json` */
export const descriptionSchema = z.strictObject({
  formatVersion: z.int().positive(),
  config: runConfigSchema,
  data: dataSchema,
});

/** `trainer_state.json` */
export const stateSchema = z.strictObject({
  formatVersion: z.int().positive(),
  config: runConfigSchema,
  progress: progressSchema,
});

export const isFolder = async (path: string): Promise<boolean> =>
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
    where: `out ${path}`,
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
    where: `out ${path}`,
    must: "the folder must be new or empty",
    got: entries === undefined ? "a file" : isRun ? "a run" : "a folder with other files",
    hint: isRun ? `another folder, or resume ${path}` : "another folder",
  });
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
  readonly data: Pick<RunData, "name" | "prompt">;
}

const sampleText = ({ step, prompt, text }: NotedSample): string => `--- step ${step} ---\n${prompt}${text}\n\n`;

/** Puts a file for people in its place, whole; what a kill loses can be written again. */
const replaceFile = async (path: string, text: string): Promise<void> => {
  await writeFile(`${path}.tmp`, text);
  await rename(`${path}.tmp`, path);
};

/** Whether the page `path` is ours to write: it is not there, says so, or lost all it said with the machine's power. */
const isOurs = async (path: string): Promise<boolean> =>
  readFile(path, "utf8").then(
    (text) => text.includes(readmeMark) || /^\0*$/u.test(text),
    (error: unknown) => systemErrorCode(error) === "ENOENT",
  );

/** What a run's folder tells people: README.md and samples.txt, both made of the events. */
const openStory = async (
  path: string,
  { config, data }: OpenOptions,
  past: readonly NotedEvent[],
  saved: boolean,
): Promise<{ readonly tell: (event: TrainEvent) => Promise<void> }> => {
  const story = newStory(saved);
  for (const event of past) goOn(story, event);
  const subject = { config, corpus: data.name, prompt: data.prompt };
  const page = join(path, folderNames.readme);
  const samples = join(path, folderNames.samples);
  const written = past.filter((event) => event.type === "sample").map(sampleText);
  if (written.length > 0) await replaceFile(samples, written.join(""));
  else await rm(samples, { force: true });
  return {
    async tell(event) {
      if (event.type === "estimate" || event.type === "profile") return;
      if (event.type === "overfitting" || event.type === "nonfinite") return;
      goOn(story, event);
      if (event.type === "sample") await appendFile(samples, sampleText(event));
      const isDue = event.type === "start" || event.type === "checkpoint" || event.type === "done";
      if (isDue && (await isOurs(page))) await replaceFile(page, runReadme(story, subject));
    },
  };
};

/**
 * Opens a run's folder that is there to go on writing to it.
 * @param first whether nothing of the run is noted yet.
 */
export const openRunFolder = async (path: string, options: OpenOptions, first: boolean): Promise<RunFolder> => {
  const { config, tokenizer } = options;
  const noted = join(path, folderNames.metrics);
  const past = (await readJsonLines(noted)).map(parseNoted).filter((event) => event !== undefined);
  const story = await openStory(path, options, past, !first);
  const metrics = await openJsonLines(noted);
  return {
    path,
    record: async (event) => {
      // A resumed run's `start` would make its metrics differ from an uninterrupted one's.
      if (event.type !== "start" || first) await metrics.append(event);
      await story.tell(event);
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

interface NewFolder extends OpenOptions {
  readonly data: RunData;
}

const makeFolder = async (path: string, options: NewFolder): Promise<RunFolder> => {
  await checkFree(path);
  await makeFolders(resolve(path));
  const { config, data } = options;
  await writeFile(join(path, folderNames.description), jsonText({ formatVersion, config, data }), { flag: "wx" });
  return openRunFolder(path, options, true);
};

/**
 * A new run's folder. It is made when there is more to keep than the first event: a run that fails before its first
 * step is done, for want of memory say, leaves nothing behind.
 * @throws ConfigError when something is there by then.
 */
export const createRunFolder = (path: string, options: NewFolder): RunFolder => {
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
