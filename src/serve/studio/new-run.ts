/** New runs that the page requests: the options, the plan and the equivalent command of each run. */
import { stat } from "node:fs/promises";
import { basename, join, relative } from "node:path";
import type { BackendChoice } from "../../backend/choices.node.ts";
import { needsTemplate } from "../../chat/learn.ts";
import type { RunConfig } from "../../config/config.ts";
import type { PartialConfig } from "../../config/merge.ts";
import type { PresetName } from "../../config/presets.ts";
import { isRecord } from "../../core/checks/is-record.ts";
import { ConfigError, DataError } from "../../core/errors/errors.ts";
import { commandLine } from "../../core/text/shell-word.ts";
import { corpusNames, isCorpusName } from "../../data/corpora.node.ts";
import { documentsOfText } from "../../data/documents-json.ts";
import type { GivenDocument } from "../../data/parse-document.ts";
import { defaultRunName } from "../../runs/begin/default-name.node.ts";
import { planInWorker } from "../../worker/plan.node.ts";
import type { NewRun } from "../../worker/train.node.ts";
import { HttpError } from "../http/http-error.ts";
import type { Models } from "./models.ts";
import type { NewRunRequest, RunPlan, TextSource } from "./protocol.ts";
import type { RunTimes } from "./run-time.ts";
import type { RunShelf } from "./runs.ts";
import { textPath } from "./texts.ts";
import type { Turns } from "./turns.ts";

export interface NewRunParts {
  readonly shelf: RunShelf;
  readonly models: Models;
  /** Path of the folder of texts. Null: no such folder was given at start. */
  readonly texts: string | null;
  /** Turns for making plans, one at a time. */
  readonly planning: Turns;
  readonly times: RunTimes;
  readonly backend: BackendChoice | undefined;
  readonly threads: number | undefined;
}

/** A path as the user would type it in the terminal where the studio was started. */
const fromHere = (path: string): string => {
  const near = relative("", path);
  return near === "" || near.startsWith("..") ? path : near;
};

/** The data of a run: as options, and as the equivalent words of the command line. */
interface Source {
  readonly options: Pick<NewRun, "data" | "text" | "documents" | "dataName">;
  readonly words: readonly string[];
  /** Name or path of the text. The name becomes part of the name of the run's folder. */
  readonly name: string;
}

const sourceOf = async (source: TextSource, texts: string | null): Promise<Source> => {
  switch (source.kind) {
    case "corpus": {
      const { name } = source;
      if (!isCorpusName(name))
        throw new ConfigError({ where: "text.name", must: `must be one of ${corpusNames.join(", ")}`, got: name });
      return { options: { data: name }, words: ["--data", name], name };
    }
    case "file": {
      const path = await textPath(texts, source.path);
      return { options: { data: path }, words: ["--data", fromHere(path)], name: path };
    }
    case "given": {
      const { name, text } = source;
      // A file name for the given text in the command. Folders are removed. The name starts with `./` if it could be
      // mistaken for a built-in text or a flag.
      const file = basename(name.replaceAll("\\", "/"));
      const words = ["--data", file.startsWith("-") || isCorpusName(file) ? `./${file}` : file];
      if (!name.endsWith(".jsonl")) return { options: { text, dataName: name }, words, name };
      // Throws if a line is not a document. The error names the first such line.
      documentsOfText(text, name);
      const documents = text.split("\n").filter((line) => line.trim() !== "");
      return {
        options: { documents: documents.map((line) => JSON.parse(line) as GivenDocument), dataName: name },
        words,
        name,
      };
    }
  }
};

const isThere = async (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );

/** A name that no existing folder has. */
const freeName = async (folder: string, wanted: string): Promise<string> => {
  for (let i = 1; ; i++) {
    const name = i === 1 ? wanted : `${wanted}-${i}`;
    if (!(await isThere(join(folder, name)))) return name;
  }
};

/** The values inside nested objects, each with its path, such as ["train.steps", 500]. */
const leavesOf = (value: unknown, path: readonly string[] = []): readonly (readonly [string, unknown])[] =>
  isRecord(value)
    ? Object.entries(value).flatMap(([key, inner]) => leavesOf(inner, [...path, key]))
    : [[path.join("."), value]];

/** The changed fields of a configuration as flags. */
const flagsOf = (config: unknown): readonly string[] =>
  leavesOf(config ?? {}).flatMap(([field, value]) =>
    value === undefined || value === null ? [] : [`--${field}`, Array.isArray(value) ? value.join(",") : String(value)],
  );

/**
 * Adds the field of the form to an error about data. The field is `initFrom` if the text has characters that the
 * initial model lacks, or conversations for which the model has no chat template, and otherwise `text`. Other errors
 * stay unchanged.
 */
export const inForm = (error: unknown, { initFrom }: Pick<NewRunRequest, "initFrom">): unknown => {
  if (error instanceof ConfigError && error.details.must === needsTemplate) {
    const got = initFrom === undefined ? "random weights" : "a model without a chat template";
    const must = "conversations need a model with a chat template";
    return new HttpError(400, `initFrom: ${must}; got ${got}; try choosing one`, "initFrom");
  }
  if (!(error instanceof DataError)) return error;
  const isUnknown = initFrom !== undefined && (error.details.characters ?? []).length > 0;
  return new HttpError(400, error.message, isUnknown ? "initFrom" : "text");
};

/** A new run. All checks that do not need its text have been made. */
export interface AskedRun {
  readonly name: string;
  readonly options: NewRun;
  readonly command: string;
}

/** @throws HttpError for a text or a model that is not in the lists, or a name that exists already. */
export const askedRun = async (
  { text, preset, config, name: given, initFrom, keepLast }: NewRunRequest,
  { shelf, models, texts, backend, threads }: NewRunParts,
): Promise<AskedRun> => {
  const {
    options,
    words,
    name: textName,
  } = await sourceOf(text, texts).catch((error: unknown) => {
    throw inForm(error, {});
  });
  const place = initFrom === undefined ? undefined : await models.placeOf(initFrom, "initFrom");
  const name = given ?? (await freeName(shelf.folder, defaultRunName(textName, preset)));
  const out = join(shelf.folder, name);
  if (given !== undefined && (await isThere(out)))
    throw new HttpError(
      409,
      `name: must be new; got ${JSON.stringify(given)}, the name of an existing folder; try another name`,
      "name",
    );
  return {
    name,
    options: {
      ...options,
      // `train` refuses an unknown name.
      preset: preset as PresetName | undefined,
      config: (config ?? {}) as PartialConfig<RunConfig>,
      initFrom: place,
      keepLast,
      out,
      backend: backend ?? "auto",
      threads,
    },
    command: commandLine([
      "train",
      ...words,
      ...(preset === undefined ? [] : ["--preset", preset]),
      ...(place === undefined ? [] : ["--init-from", fromHere(place)]),
      ...flagsOf(config),
      ...(keepLast === undefined ? [] : ["--keep-last", String(keepLast)]),
      ...["--out", fromHere(out)],
    ]),
  };
};

const plannedRun = async (request: NewRunRequest, parts: NewRunParts) => {
  const { options, command } = await askedRun(request, parts);
  const { backend, threads, keepLast: _, signal: __, onNotice: ___, onCheckpoint: ____, ...rest } = options;
  const planned = await planInWorker({ ...rest, threads, backend: backend as BackendChoice }).catch(
    (error: unknown) => {
      throw inForm(error, request);
    },
  );
  return { planned, command };
};

/** Plans a run without starting it. Plans are made one at a time, because a long text takes memory and time. */
export const planOf = async (request: NewRunRequest, parts: NewRunParts, signal: AbortSignal): Promise<RunPlan> => {
  parts.times.stop();
  const turn = await parts.planning.take(signal);
  const { planned, command } = await plannedRun(request, parts).finally(turn.release);
  const { work: _, ...plan } = planned;
  return { ...plan, ...(await parts.times.planned(planned, signal)), command };
};
