import { z } from "zod";
import {
  checkBackendChoice,
  checkCallback,
  checkKeys,
  checkOptions,
  checkSignal,
} from "../core/checks/check-arguments.ts";
import { parseConfig, withoutUndefined } from "../core/checks/config.ts";
import { configFields } from "../core/checks/schema-fields.ts";
import { ConfigError } from "../core/errors/errors.ts";
import { show } from "../core/text/show.ts";
import { extendKinds } from "../optim/config.ts";
import { nonfiniteActions, runConfigSchema } from "./config.ts";

const running = {
  // Checked when it is opened, before anything is written.
  backend: z.unknown().optional(),
  threads: z.int().min(1).max(256).optional(),
  stopAt: z.int().positive().optional(),
  keepLast: z.int().positive().optional(),
  profile: z.boolean().optional(),
  availableMemory: z.number().positive().optional(),
  memoryCheck: z.boolean().optional(),
  mpi: z.boolean().optional(),
  signal: z.unknown().optional(),
  onNotice: z.unknown().optional(),
  onCheckpoint: z.unknown().optional(),
  onAdapter: z.unknown().optional(),
};

/** Maximum number of characters of a chat template. Known templates are many times shorter. */
export const mostTemplate = 2 ** 18;

/** Maximum number of teachers. All of them are in memory, and each step computes all of them. */
const mostTeachers = 64;

const teacherOption = z.union([z.string().min(1), z.array(z.string().min(1)).min(1).max(mostTeachers)]).optional();

const newRunSchema = z.strictObject({
  ...running,
  data: z.string().min(1).optional(),
  valData: z.string().min(1).optional(),
  text: z.string().optional(),
  valText: z.string().optional(),
  // Each document is checked when it is read.
  documents: z.unknown().optional(),
  valDocuments: z.unknown().optional(),
  dataName: z.string().min(1).max(200).optional(),
  chatTemplate: z.string().min(1).max(mostTemplate).optional(),
  valFraction: z.number().gt(0).lt(1).optional(),
  preset: z.string().optional(),
  initFrom: z.string().min(1).optional(),
  keepBlocks: z.boolean().optional(),
  teacher: teacherOption,
  // Checked after it is merged with the preset.
  config: z.unknown().optional(),
  out: z.string().min(1).nullable().optional(),
  prompt: z.string().min(1).optional(),
  finalSampleTokens: z.int().min(0).optional(),
});

/** New paths to files with the same text, and to the same teachers. */
const moved = {
  data: z.string().min(1).optional(),
  valData: z.string().min(1).optional(),
  teacher: teacherOption,
};

const resumedRunSchema = z.strictObject({
  ...running,
  ...moved,
  resume: z.string().min(1),
  steps: z.int().positive().optional(),
  extend: z.enum(extendKinds).optional(),
  onNonfinite: z.enum(nonfiniteActions).optional(),
});

/** The name of an option without the name of its parent. */
const optionName = (path: readonly string[]): string => {
  const [name = ""] = path;
  return name in newRunSchema.shape || name in resumedRunSchema.shape ? path.join(".") : "train";
};

const heldOut = "only one of them may define the validation data";

const onePlace = "training and validation data must be of one kind: lists of documents, strings, or paths";

/** Pairs of options that exclude each other, with the reason. */
const contradictions = [
  ["data", "documents", "only one of them may define the training data"],
  ["text", "documents", "only one of them may define the training data"],
  ["valDocuments", "valFraction", heldOut],
  ["valDocuments", "valData", heldOut],
  ["valDocuments", "valText", heldOut],
  ["documents", "valData", onePlace, "documents and valDocuments"],
  ["documents", "valText", onePlace, "documents and valDocuments"],
  ["data", "valDocuments", onePlace, "data and valData"],
  ["text", "valDocuments", onePlace, "text and valText"],
  ["data", "text", "only one of them may define the training data"],
  ["valData", "valFraction", heldOut],
  ["valText", "valFraction", heldOut],
  ["valData", "valText", heldOut],
  ["text", "valData", "both texts must be strings, or both must be paths", "text and valText, or data and valData"],
  ["data", "valText", "both texts must be strings, or both must be paths", "text and valText, or data and valData"],
] as const;

/** @throws ConfigError naming data options that contradict each other. */
export const checkTextOptions = (given: Readonly<Record<string, unknown>>): void => {
  for (const [one, other, must, hint = "one of them"] of contradictions) {
    if (given[one] === undefined || given[other] === undefined) continue;
    throw new ConfigError({ where: `${one} and ${other}`, must, got: "both", hint });
  }
  for (const name of ["documents", "valDocuments"]) {
    const list = given[name];
    if (list === undefined || Array.isArray(list)) continue;
    throw new ConfigError({ where: name, must: "must be a list of documents", got: show(list) });
  }
  for (const [held, name] of [
    ["valText", "text"],
    ["valDocuments", "documents"],
  ] as const) {
    if (given[held] === undefined || given[name] !== undefined) continue;
    throw new ConfigError({
      where: held,
      must: `must be given together with the ${name} to train on`,
      got: `${held} alone`,
      hint: `${name} as well`,
    });
  }
};

/**
 * Path of `name` in the configuration. `name` is a part of the configuration, or a field; the field with the shortest
 * path is taken.
 */
const placeInConfig = (name: string): string | undefined => {
  if (Object.hasOwn(runConfigSchema.shape, name)) return `config.${name}`;
  const places = configFields(runConfigSchema).filter(({ path }) => path.at(-1) === name && name !== "kind");
  const [first] = places.sort((a, b) => a.path.length - b.path.length);
  return first && ["config", ...first.path].join(".");
};

/** @throws ConfigError for an unknown option that is a configuration field, such as `steps`; the hint has its path. */
export const checkNoFields = (options: object, known: Readonly<Record<string, unknown>>): void => {
  for (const name of Object.keys(options)) {
    const hint = Object.hasOwn(known, name) ? undefined : placeInConfig(name);
    if (hint === undefined) continue;
    throw new ConfigError({ where: "train", must: "every key must be a known one", got: show(name), hint });
  }
};

/** Names of the options of new runs and of resumed runs, and `worker`. */
const optionNames = [...Object.keys(newRunSchema.shape), ...Object.keys(resumedRunSchema.shape), "worker"];

/**
 * Checks the options of `train`, except the preset and the config.
 * @throws ConfigError naming the first invalid, unknown or contradictory option.
 */
export const checkTrainOptions = (options: object): void => {
  checkOptions("train: options", options);
  const given = withoutUndefined(options) as Readonly<Record<string, unknown>>;
  if (given.resume === undefined) checkNoFields(given, newRunSchema.shape);
  checkKeys("train", given, optionNames);
  const { backend, signal, onNotice, onCheckpoint, onAdapter } = given;
  checkBackendChoice("train: backend", backend);
  checkSignal("train: signal", signal);
  checkCallback("train: onNotice", onNotice);
  checkCallback("train: onCheckpoint", onCheckpoint);
  checkCallback("train: onAdapter", onAdapter);
  if (given.resume === undefined) {
    parseConfig(newRunSchema, given, optionName);
    checkTextOptions(given);
    if (given.dataName !== undefined && given.text === undefined && given.documents === undefined) {
      const must = "must be used only with text or documents, since files have their own name";
      throw new ConfigError({ where: "dataName", must, got: show(given.dataName), hint: "leaving it out" });
    }
    return;
  }
  const other = Object.keys(given).find((key) => key in newRunSchema.shape && !(key in resumedRunSchema.shape));
  if (other !== undefined) {
    throw new ConfigError({
      where: "resume",
      must: "options that change the run must be absent",
      got: other,
      hint: "a new run, or only steps, extend, data, teacher and options such as threads, stopAt or onNotice",
    });
  }
  parseConfig(resumedRunSchema, given, optionName);
  if (given.extend !== undefined && given.steps === undefined) {
    throw new ConfigError({
      where: "extend",
      must: "must be used with steps, the new total number of steps",
      got: "no steps",
    });
  }
};
