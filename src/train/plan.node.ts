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
import { prepareData } from "./prepare/data.node.ts";
import { initialOf } from "./prepare/initial.node.ts";
import { baseRowsOf, checkFits, configOfWeights } from "./prepare/initial.ts";
import { checkKeptBlocks, checkLora } from "./prepare/lora.ts";
import { checkTexts, preflight, type Surroundings, surroundings } from "./prepare/preflight.node.ts";
import { planConfig, withDType } from "./prepare/prepare.ts";
import { openTeachers, type Teachers } from "./prepare/teachers.node.ts";
import { changesOfTeachers, checkPlanOfTeachers, checkTeachers } from "./prepare/teachers.ts";
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
  const { prepared, reading } = await prepareData(plan, loadData(given, options), before, options.prompt, undefined);
  const { config, derived, tokenizer, trainTokens, val } = prepared;
  checkTeachers(teachers, config, tokenizer);
  const backend = await openBackend(options.backend ?? "auto", {
    threads: options.threads,
    dtype: config.train.dtype,
    manyRows: true,
  });
  try {
    const settled = withDType(config, backend);
    const { memory, availableMemory } = await preflight(around, backend, settled, {
      prepared,
      sampleTokens: options.finalSampleTokens ?? 400,
      saved: true,
      resumed: initial !== null && settled.lora === undefined,
      reading: given === undefined ? reading : 0,
      ranks: 1,
      baseRows: baseRowsOf(initial),
      teachers,
    });
    return {
      config: settled,
      derived,
      parameters: modelLayout(settled.model, tokenizer.vocabSize).count,
      trainTokens: trainTokens.length,
      valTokens: val.ids.length,
      vocabSize: tokenizer.vocabSize,
      memory,
      availableMemory,
    };
  } finally {
    await backend.close();
  }
};
