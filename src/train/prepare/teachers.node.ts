/** Opens the models that a run learns from. */
import { createHash } from "node:crypto";
import { dirname, resolve } from "node:path";
import { CheckpointError, ConfigError, ForetokenError } from "../../core/errors/errors.ts";
import { quotePath } from "../../core/text/shell-word.ts";
import { isAdapterFolder } from "../../pretrained/adapter/place.node.ts";
import { isHubName } from "../../pretrained/files/hub-name.ts";
import { noticeUnchecked, openPretrained } from "../../pretrained/open.node.ts";
import { readingOf } from "../../pretrained/reading.ts";
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
    const configSha256 = createHash("sha256").update(readingOf(opened)).digest("hex");
    return { path, sha256, configSha256, config, tokenizer, weights };
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

/** The option as a list; a string is one model. */
const listOf = (teacher: string | readonly string[]): readonly string[] =>
  typeof teacher === "string" ? [teacher] : teacher;

/**
 * Opens the teachers of a new run.
 * @param teacher the option; a string is one model.
 * @throws CheckpointError if a file is missing or damaged.
 */
export const openTeachers = (teacher: string | readonly string[] = [], onNotice?: OnNotice): Promise<Teachers> =>
  openAll(listOf(teacher), (named) => openTeacher(named, onNotice));

type KeptTeacher = NonNullable<RunData["teachers"]>[number];

/** Says what differs from the teacher that the run began with; undefined if nothing differs. */
const differenceFrom = (kept: KeptTeacher, found: Teacher): string | undefined => {
  if (found.sha256 !== kept.sha256) {
    return found.path === kept.path ? "other weights: the teacher was trained further, or replaced" : "other weights";
  }
  return found.configSha256 === kept.configSha256 ? undefined : "another configuration or tokenizer";
};

/**
 * Opens a teacher of a run again.
 * @param place the place to open; the teacher may have been moved there.
 */
const reopenTeacher = async (run: string, kept: KeptTeacher, place: string, onNotice?: OnNotice): Promise<Teacher> => {
  const hint = "restoring it, or teacher PLACE with a copy of it";
  const found = await openTeacher(place, onNotice).catch((cause: unknown) => {
    if (!(cause instanceof ForetokenError)) throw cause;
    const where = cause.details.where.replace(/^(?!teacher )/u, "teacher ");
    throw new CheckpointError({ ...cause.details, where: `resume ${run}: ${where}`, hint, cause });
  });
  const got = differenceFrom(kept, found);
  if (got === undefined) return found;
  await found.weights.close();
  const isMoved = found.path !== kept.path;
  throw new CheckpointError({
    where: `resume ${run}: teacher ${place}`,
    must: isMoved ? "must be the model with which the run began" : "must be unchanged since the run began",
    got,
    hint,
  });
};

/**
 * Opens the teachers of a run again.
 * @param run the run's folder, for errors.
 * @param moved the option: new places of all teachers, in the order in which the run began.
 * @throws CheckpointError if a teacher is missing or has changed; ConfigError for another number of places.
 */
export const reopenTeachers = (
  run: string,
  { teachers = [] }: Pick<RunData, "teachers">,
  moved: string | readonly string[] | undefined,
  onNotice?: OnNotice,
): Promise<Teachers> => {
  const places = moved === undefined ? teachers.map(({ path }) => path) : listOf(moved);
  if (places.length !== teachers.length) {
    throw new ConfigError({
      where: "teacher",
      must:
        teachers.length === 0
          ? "must be left out, because the run learns from its text alone"
          : `must name the new places of the run's ${teachers.length === 1 ? "teacher" : `${teachers.length} teachers, in order`}`,
      got: `${places.length} ${places.length === 1 ? "place" : "places"}`,
    });
  }
  return openAll(
    teachers.map((kept, i) => ({ kept, place: places[i] ?? kept.path })),
    ({ kept, place }) => reopenTeacher(run, kept, place, onNotice),
  );
};

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
  list.length === 0 ? {} : { teachers: list.map(({ path, sha256, configSha256 }) => ({ path, sha256, configSha256 })) };

/** One hash for all teachers, to compare the ranks of a run. */
export const hashOfTeachers = (teachers: readonly KeptTeacher[]): string =>
  teachers.map(({ sha256, configSha256 }) => `${sha256} ${configSha256}`).join(" ");
