/** Plans a new run: finds its configuration, sizes and memory without writing or training anything. */

import { openBackend } from "../backend/select.node.ts";
import type { RunConfig } from "../config/config.ts";
import { checkTrainOptions } from "../config/options.ts";
import { defaultPreset } from "../config/presets.ts";
import { architectureOf } from "../models/architectures/architecture-of.ts";
import { modelLayout } from "../models/model.ts";
import { keptFacts } from "../pretrained/files/pretrained-files.ts";
import { givenData, loadData } from "../runs/begin/data.node.ts";
import { hasOwnParts } from "../runs/begin/default-name.node.ts";
import type { FoundWeights } from "../runs/begin/initial.node.ts";
import type { MemoryEstimate } from "../runs/memory-estimate.ts";
import { passesOfDocuments } from "../trainer/passes.ts";
import { prepareData } from "./prepare/data.node.ts";
import { initialOf } from "./prepare/initial.node.ts";
import { baseRowsOf, checkFits, configOfWeights } from "./prepare/initial.ts";
import { checkKeptBlocks, checkLora } from "./prepare/lora.ts";
import { checkTexts, preflight, type Surroundings, surroundings } from "./prepare/preflight.node.ts";
import { type Prepared, planConfig, withDType } from "./prepare/prepare.ts";
import { openTeachers, type Teachers } from "./prepare/teachers.node.ts";
import { changesOfTeachers, checkPlanOfTeachers, checkTeachers } from "./prepare/teachers.ts";
import { isQuickToTime } from "./step-time.node.ts";
import type { NewRun } from "./train.node.ts";

/** A planned run. */
export interface PlannedRun {
  readonly config: RunConfig;
  /** Fields of the configuration that follow from the text, such as "train.steps". */
  readonly derived: readonly string[];
  readonly parameters: number;
  readonly trainTokens: number;
  readonly valTokens: number;
  readonly vocabSize: number;
  readonly memory: MemoryEstimate;
  readonly availableMemory: number;
  readonly work: PlannedWork;
}

/** What the time of a run depends on, besides its configuration. */
export interface PlannedWork {
  /** Number of tokens of a step. For documents, the mean of the first steps. */
  readonly stepTokens: number;
  /** Number of tokens of the samples' prompt, and of the sample at the end. */
  readonly promptTokens: number;
  readonly finalSampleTokens: number;
  /** Name of the backend, and number of its threads. */
  readonly backend: string;
  readonly threads: number;
  /** Whether `timeSteps` can time the model in a few seconds, with at most half of the free memory. */
  readonly canTime: boolean;
}

/** Options of a new run that can be sent to another thread. */
export type PlanOptions = Omit<NewRun, "backend" | "signal" | "onNotice" | "onCheckpoint" | "onAdapter"> & {
  readonly backend?: "auto" | "native" | "wasm" | "reference" | undefined;
};

/**
 * Finds the configuration, the sizes and the memory of the run that `train` would start with the same options.
 * @throws the errors that `train` throws before its first event, except the error for a run that needs more memory than
 * is free.
 */
export const planRun = async (options: PlanOptions): Promise<PlannedRun> => {
  checkTrainOptions(options);
  // Free memory is measured before weights are read, because the weights take memory too.
  const around = surroundings(options.availableMemory, false);
  const teachers = await openTeachers(options.teacher, undefined);
  try {
    const initial = await initialOf(options);
    try {
      return await planFrom(options, around, initial, teachers);
    } finally {
      await initial?.close();
    }
  } finally {
    await teachers.close();
  }
};

/** Number of steps of documents whose mean number of tokens is planned. */
const countedSteps = 4;

/** Mean number of tokens of a step. */
const stepTokensOf = ({ config, documents }: Prepared): number => {
  const { batchSize, gradAccumSteps } = config.train;
  if (documents === undefined) return batchSize * gradAccumSteps * config.model.contextLength;
  const { sizeOf } = passesOfDocuments(config, documents.train);
  return Array.from({ length: countedSteps }, (_, step) => sizeOf(step).tokens / countedSteps).reduce((a, b) => a + b);
};

const planFrom = async (
  options: PlanOptions,
  around: Surroundings,
  initial: FoundWeights | null,
  { list: teachers }: Teachers,
): Promise<PlannedRun> => {
  const given = givenData(options);
  const preset = options.preset ?? (hasOwnParts(options) ? undefined : defaultPreset);
  const changes = [...changesOfTeachers(teachers, initial !== null), options.config ?? {}];
  const plan = planConfig(preset, changes, "config", initial === null ? null : configOfWeights(initial));
  checkPlanOfTeachers(teachers, plan.expected, initial !== null);
  checkLora(plan.expected, initial !== null, {});
  checkKeptBlocks(plan.expected, options.keepBlocks);
  if (initial !== null) checkFits(initial, plan.expected);
  architectureOf(plan.expected.model);
  // A text that is too large for memory is refused before it is read.
  await checkTexts(surroundings(options.availableMemory, true), [options.data, options.valData]);
  const before = {
    tokenizer: initial?.tokenizer ?? teachers[0]?.tokenizer ?? null,
    initial,
    facts: initial === null ? null : keptFacts(initial),
    chatTemplate: options.chatTemplate,
  };
  const { prepared, reading, about } = await prepareData(
    plan,
    loadData(given, options),
    before,
    options.prompt,
    undefined,
  );
  const { config, derived, tokenizer, trainTokens, val } = prepared;
  checkTeachers(teachers, config, tokenizer);
  const backend = await openBackend(options.backend ?? "auto", {
    threads: options.threads,
    dtype: config.train.dtype,
    manyRows: true,
  });
  try {
    const settled = withDType(config, backend);
    const { finalSampleTokens = 400, prompt = about.prompt } = options;
    const baseRows = baseRowsOf(initial);
    const { memory, availableMemory } = await preflight(around, backend, settled, {
      prepared,
      sampleTokens: finalSampleTokens,
      saved: true,
      resumed: initial !== null && settled.lora === undefined,
      reading: given === undefined ? reading : 0,
      ranks: 1,
      baseRows,
      teachers,
    });
    const parameters = modelLayout(settled.model, tokenizer.vocabSize).count;
    const needsFiles = teachers.length > 0 || baseRows.length > 0;
    return {
      config: settled,
      derived,
      parameters,
      trainTokens: trainTokens.length,
      valTokens: val.ids.length,
      vocabSize: tokenizer.vocabSize,
      memory,
      availableMemory,
      work: {
        stepTokens: stepTokensOf(prepared),
        promptTokens: (prepared.documents?.promptIds ?? tokenizer.encode(prompt, "prompt")).length,
        finalSampleTokens,
        backend: backend.name,
        threads: backend.capabilities.threads,
        canTime: !needsFiles && 2 * memory.total <= availableMemory && isQuickToTime(settled, parameters, backend),
      },
    };
  } finally {
    await backend.close();
  }
};
