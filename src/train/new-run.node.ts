import { join, resolve } from "node:path";
import { defaultPreset } from "../config/presets.ts";
import { yieldToHost } from "../core/system/yield.ts";
import { isCorpusName } from "../data/corpora.node.ts";
import { architectureOf } from "../models/architectures/architecture-of.ts";
import { isHubName } from "../pretrained/files/hub-name.ts";
import { keptFacts } from "../pretrained/files/pretrained-files.ts";
import { givenData, loadData } from "../runs/begin/data.node.ts";
import { defaultRunName, hasOwnParts } from "../runs/begin/default-name.node.ts";
import type { FoundWeights } from "../runs/begin/initial.node.ts";
import { checkFree, createRunFolder } from "../runs/begin/new-run-folder.node.ts";
import type { TrainEvent } from "../runs/events.ts";
import { runsFolder } from "../runs/folder-names.ts";
import { freshProgress } from "../runs/progress.ts";
import { isValTraining, keptPlaces, type RunData } from "../runs/run-schemas.ts";
import { prepareData } from "./prepare/data.node.ts";
import { initialOf } from "./prepare/initial.node.ts";
import { baseRowsOf, checkFits, configOfWeights, drawnState, firstState } from "./prepare/initial.ts";
import { checkKeptBlocks, checkLora } from "./prepare/lora.ts";
import { noRateNotice } from "./prepare/no-rate.ts";
import { checkTexts, preflight, type Surroundings, surroundings } from "./prepare/preflight.node.ts";
import { planConfig } from "./prepare/prepare.ts";
import { shortWindowsNotice } from "./prepare/short-windows.ts";
import { keptTeachers, noticeOtherTexts, openTeachers, type Teachers } from "./prepare/teachers.node.ts";
import { changesOfTeachers, checkPlanOfTeachers, checkTeachers } from "./prepare/teachers.ts";
import { handedTo } from "./run/callbacks.ts";
import { keepingBase, meet, type Ranks, runPrepared, withBackend, writes } from "./run/prepared-run.node.ts";
import type { NewRun } from "./train-options.node.ts";

const valIsTraining =
  "the validation text is the training text itself, so the validation loss does not measure how the model reads a new text";

/** Keeps the name of a corpus. Makes a path absolute, because a resumed run may start in another folder. */
const placeOf = (data: string): string => (isCorpusName(data) ? data : resolve(data));

/** A model's place, valid in any working directory. */
const placeOfModel = (where: string): string => (isHubName(where) ? where : resolve(where));

/** The initial weights in the form of the run's description. */
const keptOrigin = ({ where, sha256, weights }: FoundWeights): NonNullable<RunData["initFrom"]> => ({
  ...{ path: placeOfModel(where), sha256 },
  ...(weights.kind === "blocks" ? { blocks: true as const } : {}),
});

/** Trains a new run. */
export const startRun = async function* (options: NewRun, ranks: Ranks): AsyncGenerator<TrainEvent, void, undefined> {
  const around = surroundings(options.availableMemory, options.memoryCheck !== false, ranks?.localSize);
  // The folder is checked before weights are read, because reading takes longer.
  if (writes(ranks) && typeof options.out === "string" && options.initFrom !== undefined) await checkFree(options.out);
  const teachers = await openTeachers(options.teacher, options.onNotice);
  let initial: FoundWeights | null = null;
  try {
    initial = await initialOf(options);
    yield* startFrom(options, ranks, around, initial, teachers);
  } finally {
    await initial?.close();
    await teachers.close();
  }
};

const startFrom = async function* (
  options: NewRun,
  ranks: Ranks,
  around: Surroundings,
  initial: FoundWeights | null,
  opened: Teachers,
): AsyncGenerator<TrainEvent, void, undefined> {
  const { list: teachers } = opened;
  const { valData, valFraction, finalSampleTokens = 400, onNotice, chatTemplate } = options;
  const given = givenData(options);
  const preset = options.preset ?? (hasOwnParts(options) ? undefined : defaultPreset);
  const isNamedLater = writes(ranks) && options.out === undefined && given === undefined;
  const asked = writes(ranks) ? (options.out ?? null) : null;
  const saved = asked !== null || isNamedLater || handedTo(options) !== null;
  const changes = [...changesOfTeachers(teachers, initial !== null), options.config ?? {}];
  const plan = planConfig(preset, changes, "config", initial === null ? null : configOfWeights(initial));
  checkPlanOfTeachers(teachers, plan.expected, initial !== null);
  checkLora(plan.expected, initial !== null, options);
  checkKeptBlocks(plan.expected, options.keepBlocks);
  if (initial !== null) checkFits(initial, plan.expected);
  // A model that is saved must fit a class of `transformers`.
  if (saved) architectureOf(plan.expected.model);
  if (asked !== null) await checkFree(asked);
  await checkTexts(around, [options.data, valData]);
  // No variable keeps the data, because a reference would keep it in memory.
  const { prepared, facts, reading, about } = await prepareData(
    plan,
    loadData(given, options),
    {
      tokenizer: initial?.tokenizer ?? teachers[0]?.tokenizer ?? null,
      initial,
      facts: initial === null ? null : keptFacts(initial),
      chatTemplate,
    },
    options.prompt,
    onNotice,
  );
  const { config, tokenizer } = prepared;
  checkTeachers(teachers, config, tokenizer);
  const { prompt = about.prompt } = options;
  tokenizer.encode(prompt, "prompt");
  // The name is known only after reading, because the default may be either of two texts.
  const out = isNamedLater ? join(runsFolder, defaultRunName(about.name, options.preset)) : asked;
  const data: RunData = {
    ...(given === undefined
      ? {
          // The default may be either of two texts, so the text that was read is recorded.
          data: options.data === undefined || options.data === "default" ? about.name : placeOf(options.data),
          valData: valData === undefined ? null : placeOf(valData),
        }
      : keptPlaces(given)),
    valFraction: valFraction ?? 0.1,
    ...about,
    name: options.dataName ?? about.name,
    prompt,
    finalSampleTokens,
    ...(initial === null ? {} : { initFrom: keptOrigin(initial) }),
    ...keptTeachers(opened),
    ...(chatTemplate === undefined ? {} : { chatTemplate }),
  };
  await noticeOtherTexts(opened, about, onNotice);
  if (isValTraining(data)) await onNotice?.(valIsTraining);
  yield* withBackend(options, ranks, config, async function* (backend, settled) {
    // If the run was aborted while the text was read, the abort takes effect here.
    await yieldToHost();
    options.signal?.throwIfAborted();
    const planned = {
      prepared,
      sampleTokens: finalSampleTokens,
      saved,
      resumed: initial !== null && settled.lora === undefined,
      // Given data was in memory before, so reading it took no memory.
      reading: given === undefined ? reading : 0,
      ranks: ranks?.size ?? 1,
      baseRows: baseRowsOf(initial),
      teachers,
    };
    const fitting = await preflight(around, backend, settled, planned);
    await meet(ranks, backend, settled, data, facts, freshProgress, options.stopAt);
    const noRate = noRateNotice(settled.train, 0);
    if (noRate !== undefined && writes(ranks)) await options.onNotice?.(noRate);
    const short = initial === null ? undefined : shortWindowsNotice(settled, initial.config, options.config);
    if (short !== undefined && writes(ranks)) await options.onNotice?.(short);
    const subject = { config: settled, tokenizer, facts, data, keepLast: options.keepLast ?? 1 };
    const base = keepingBase(settled, initial, options);
    const store = out === null ? null : await createRunFolder(out, isNamedLater, subject, given, base);
    const first = initial === null ? drawnState : firstState(initial, settled);
    const initFrom = data.initFrom?.path ?? null;
    const complete = { ...prepared, ...fitting, facts, config: settled, initFrom, teachers };
    yield* runPrepared(options, ranks, backend, complete, data, store, first);
  });
};
