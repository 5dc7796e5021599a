/** Opens the models that a run learns from. */
import { dirname, resolve } from "node:path";
import { CheckpointError, ForetokenError } from "../../core/errors/errors.ts";
import { quotePath } from "../../core/text/shell-word.ts";
import { isAdapterFolder } from "../../pretrained/adapter/open.node.ts";
import { isHubName } from "../../pretrained/files/hub.node.ts";
import { noticeUnchecked, openPretrained } from "../../pretrained/open.node.ts";
import { checkpointOf } from "../../runs/begin/initial.node.ts";
import { checkAll } from "../../runs/begin/initial-weights.ts";
import { readRunDescription } from "../../runs/description.node.ts";
import type { RunData } from "../../runs/run-schemas.ts";
import type { Running } from "../train-options.node.ts";
import type { Teacher } from "./teachers.ts";

/** The opened teachers of a run. */
export interface Teachers {
  readonly list: readonly Teacher[];
  /** Closes their files. */
  close(): Promise<void>;
}

type OnNotice = Running["onNotice"];

const openTeacher = async (named: string, onNotice: OnNotice = () => {}): Promise<Teacher> => {
  const where = `teacher ${named}`;
  const directory = await checkpointOf(named, "teacher");
  if (await isAdapterFolder(directory)) {
    throw new CheckpointError({
      where,
      must: "must name a whole model",
      got: "an adapter without its base model",
      hint: `npx foretoken merge ${quotePath(named)} --out NEW, then teacher NEW`,
    });
  }
  const opened = await openPretrained(directory, { onNotice });
  const { config, tokenizer, weights } = opened;
  const check = async (): Promise<Teacher> => {
    if (tokenizer.kind === "none") {
      const must = "must have tokenizer.json, so that its tokens can be compared with the run's";
      throw new CheckpointError({ where, must, got: "no such file", hint: "a complete copy of the folder" });
    }
    const path = isHubName(directory) ? directory : resolve(directory);
    const sha256 = await opened.sha256();
    return { path, sha256, config, tokenizer, weights };
  };
  const teacher = await check().catch(async (error: unknown) => {
    await weights.close();
    throw error;
  });
  await noticeUnchecked(opened, directory, onNotice);
  await checkAll(teacher);
  return teacher;
};

const openAll = async <T>(named: readonly T[], open: (one: T) => Promise<Teacher>): Promise<Teachers> => {
  const list: Teacher[] = [];
  const close = async (): Promise<void> => {
    for (const { weights } of list) await weights.close();
  };
  try {
    for (const one of named) list.push(await open(one));
  } catch (error) {
    await close();
    throw error;
  }
  return { list, close };
};

/**
 * Opens the teachers of a new run.
 * @param teacher the option; a string is one model.
 * @throws CheckpointError if a file is missing or damaged.
 */
export const openTeachers = (teacher: string | readonly string[] = [], onNotice?: OnNotice): Promise<Teachers> =>
  openAll(typeof teacher === "string" ? [teacher] : teacher, (named) => openTeacher(named, onNotice));

/**
 * Opens the teachers of a run again.
 * @param run the run's folder, for errors.
 * @throws CheckpointError if a teacher is missing or has changed.
 */
export const reopenTeachers = (
  run: string,
  { teachers = [] }: Pick<RunData, "teachers">,
  onNotice?: OnNotice,
): Promise<Teachers> =>
  openAll(teachers, async ({ path, sha256 }) => {
    const found = await openTeacher(path, onNotice).catch((error: unknown) => error);
    if (!(found instanceof Error) && (found as Teacher).sha256 === sha256) return found as Teacher;
    if (!(found instanceof Error)) await (found as Teacher).weights.close();
    throw new CheckpointError({
      where: `resume ${run}`,
      must: `the teacher of the run must be in ${path}, unchanged since the run began`,
      got: found instanceof Error ? "no readable model" : "other weights (their SHA-256 differs)",
      hint: "restoring it, or a copy of it there",
      cause: found,
    });
  });

/**
 * Prints a notice for each teacher that trained on other text than the run. Such a teacher may have seen the text that
 * the run holds out, so the run's validation loss may be too low.
 */
export const noticeOtherTexts = async (
  { list }: Teachers,
  { sha256 }: Pick<RunData, "sha256">,
  onNotice: OnNotice = () => {},
): Promise<void> => {
  for (const { path } of list) {
    const described = await readRunDescription(dirname(path)).catch((error: unknown) => {
      // The teacher is not from a run, so its text is unknown.
      if (error instanceof ForetokenError) return undefined;
      throw error;
    });
    if (described === undefined || described.data.sha256 === sha256) continue;
    onNotice(
      `teacher ${path}: it trained on a different text than this run, or on a different part of the same text, so it may have seen the text that this run holds out`,
    );
  }
};

/** The teachers in the form of the run's description; nothing for a run without teachers. */
export const keptTeachers = ({ list }: Teachers): Pick<RunData, "teachers"> =>
  list.length === 0 ? {} : { teachers: list.map(({ path, sha256 }) => ({ path, sha256 })) };
