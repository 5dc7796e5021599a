/** The files for readers in a run's folder, README.md and samples.txt. The two files are made from the events. */
import { unlink } from "node:fs/promises";
import { join } from "node:path";
import type { RunConfig } from "../../config/config.ts";
import { systemErrorCode } from "../../core/errors/system-error.ts";
import { readRegularFile } from "../../core/system/regular-file.node.ts";
import { hasCheckpoint } from "../../io/checkpoint-place.node.ts";
import { openToAppend, replaceFile, writeAll } from "../../io/files.node.ts";
import { readManifest } from "../../io/read-manifest.node.ts";
import type { TrainEvent } from "../events.ts";
import { folderNames } from "../folder-names.ts";
import type { NotedEvent, NotedSample } from "../noted-events.ts";
import type { RunData } from "../run-schemas.ts";
import { asidesIn } from "./best-aside.node.ts";
import { bestKindsOf } from "./best-kinds.ts";
import { goOn, newStory, readmeMark, runReadme } from "./run-readme.ts";

/** The run that the files describe. */
export interface StorySubject {
  readonly config: RunConfig;
  readonly data: Pick<RunData, "name" | "prompt" | "initFrom" | "teachers" | "kept">;
  readonly keepLast: number;
}

const sampleMark = "--- step ";
const sampleText = ({ step, prompt, text }: NotedSample): string => `${sampleMark}${step} ---\n${prompt}${text}\n\n`;

/** Number of bytes at the start of a file that are enough to recognise it. */
const maxPageBytes = 2 ** 24;

/**
 * Whether `path` may be overwritten. True if `path` does not exist, if `isOurs` recognises the file, or if a power
 * failure has emptied the file.
 */
const mayWrite = async (path: string, isOurs: (text: string) => boolean): Promise<boolean> =>
  readRegularFile(path, { maxBytes: maxPageBytes }).then(
    (bytes) => {
      const text = new TextDecoder().decode(bytes);
      return isOurs(text) || /^\0*$/u.test(text);
    },
    (error: unknown) => systemErrorCode(error) === "ENOENT",
  );

const append = async (path: string, text: string): Promise<void> => {
  const file = await openToAppend(path);
  try {
    await writeAll(file, new TextEncoder().encode(text));
  } finally {
    await file.close();
  }
};

/** Writes the events into README.md and samples.txt. */
export interface Story {
  tell(event: TrainEvent): Promise<void>;
}

/**
 * Opens README.md and samples.txt in a run's folder.
 * @param past the earlier events, in order.
 * @param saved whether there is a checkpoint.
 */
export const openStory = async (
  folder: string,
  { config, data, keepLast }: StorySubject,
  past: AsyncIterable<NotedEvent>,
  saved: boolean,
): Promise<Story> => {
  const story = newStory(saved);
  const subject = {
    config,
    corpus: data.name,
    prompt: data.prompt,
    keepLast,
    initFrom: data.initFrom?.path,
    teachers: data.teachers?.map(({ path }) => path),
    keptText: data.kept === true,
  };
  const page = join(folder, folderNames.readme);
  const samples = join(folder, folderNames.samples);
  const written: string[] = [];
  for await (const event of past) {
    goOn(story, event);
    if (event.type === "sample") written.push(sampleText(event));
  }
  const ownsSamples = await mayWrite(samples, (text) => text.startsWith(sampleMark));
  if (ownsSamples && written.length > 0) await replaceFile(samples, written.join(""));
  else if (ownsSamples) {
    await unlink(samples).catch((error: unknown) => {
      if (systemErrorCode(error) !== "ENOENT") throw error;
    });
  }
  return {
    async tell(event) {
      if (event.type === "estimate" || event.type === "profile") return;
      if (event.type === "overfitting" || event.type === "nonfinite") return;
      goOn(story, event);
      if (event.type === "sample" && ownsSamples) await append(samples, sampleText(event));
      // The page is written at once. So if the process is killed after a better evaluation, the page and the event log
      // show the same best loss.
      const isBetter = event.type === "eval" && event.reason !== "end" && (event.best || event.averaged?.best === true);
      const isDue = event.type === "start" || event.type === "checkpoint" || event.type === "done" || isBetter;
      const isPage = (text: string): boolean => text.includes(readmeMark);
      if (!isDue || !(await mayWrite(page, isPage))) return;
      const best = join(folder, folderNames.best);
      const bestStep = (await hasCheckpoint(best)) ? (await readManifest(best))?.run?.step : null;
      const found = await Promise.all(bestKindsOf(config).map((kind) => asidesIn(folder, kind)));
      const asides = found.flatMap((some) => some.map(({ name }) => name).sort());
      await replaceFile(page, runReadme(story, { ...subject, bestStep, asides }));
    },
  };
};
