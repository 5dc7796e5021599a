/** Memory limits of the system, and the error for a run that exceeds them. */

import { stat } from "node:fs/promises";
import type { Backend } from "../../backend/backend.ts";
import type { RunConfig } from "../../config/config.ts";
import { freeMemory } from "../../core/system/available-memory.node.ts";
import { isCorpusName } from "../../data/corpora.node.ts";
import type { TextSplit } from "../../data/corpus.ts";
import type { BlockRows } from "../../models/block-arena.ts";
import type { MemoryEstimate } from "../../runs/memory-estimate.ts";
import { estimateMemory } from "./memory.ts";
import { type AvailableMemory, checkMemory, checkTextSize } from "./preflight.ts";
import { bytesOfTokens, type Prepared } from "./prepare.ts";
import type { Teacher } from "./teachers.ts";

/**
 * Growth of Node's heap and compiled code during a run. WebAssembly adds its compiler's code and one engine per worker
 * thread.
 */
const growth = 36 * 2 ** 20;
const wasmGrowth = 11 * 2 ** 20;
const workerBytes = 10 * 2 ** 20;

const growthOf = ({ name, capabilities }: Backend): number =>
  growth + (name === "wasm" ? wasmGrowth + workerBytes * (capabilities.threads - 1) : 0);

/** State of memory at the time when `train` was called. */
export interface Surroundings {
  readonly available: AvailableMemory;
  /** Whether a run that does not fit is refused. */
  readonly refuses: boolean;
  /** Number of bytes that the process held. */
  readonly program: number;
}

/**
 * @param given the option `availableMemory`.
 * @param processes number of processes on this machine that share its free memory.
 */
export const surroundings = (given: number | undefined, refuses: boolean, processes = 1): Surroundings => {
  const program = process.memoryUsage.rss();
  if (given !== undefined) return { available: { bytes: given, container: null }, refuses, program };
  const { bytes, container } = freeMemory();
  return { available: { bytes: Math.floor(bytes / processes) + program, container }, refuses, program };
};

/**
 * Refuses a file that is too large for memory, before reading it.
 * @param data names and paths of texts; paths that are not files are skipped.
 */
export const checkTexts = async (
  { available, refuses }: Surroundings,
  data: readonly (string | null | undefined)[],
): Promise<void> => {
  if (!refuses) return;
  for (const path of data) {
    if (path === null || path === undefined || isCorpusName(path)) continue;
    const found = await stat(path).catch(() => undefined);
    if (found?.isFile() === true) checkTextSize(path, found.size, available);
  }
};

/**
 * Bytes of a text as UTF-8 plus bytes of its characters in the JavaScript engine: both are in memory during encoding.
 */
export const readingBytes = ({ train, val }: TextSplit): number => {
  const units = train.length + val.length;
  const bytes = Buffer.byteLength(train) + Buffer.byteLength(val);
  // The engine stores one byte per code unit if all units are below 256, else two. If the UTF-8 has more bytes than the
  // text has units, both cases are possible, so two bytes are assumed.
  return bytes + (bytes === units ? 1 : 2) * units;
};

/** The run to check. */
export interface Planned {
  readonly prepared: Prepared;
  readonly sampleTokens: number;
  readonly saved: boolean;
  readonly resumed: boolean;
  /** Of `readingBytes`. */
  readonly reading: number;
  /** Number of machines that train the run. */
  readonly ranks: number;
  /** Rows of the base model that stay in blocks under adapters. */
  readonly baseRows: readonly BlockRows[];
  /** The models that the run learns from. */
  readonly teachers: readonly Teacher[];
}

/**
 * Estimates the memory of a run on `backend`.
 * @throws ConfigError if the run does not fit and the check is on.
 */
export const preflight = async (
  { available, refuses, program }: Surroundings,
  backend: Backend,
  config: RunConfig,
  { prepared, sampleTokens, saved, resumed, reading, ranks, baseRows, teachers }: Planned,
): Promise<{ readonly memory: MemoryEstimate; readonly availableMemory: number }> => {
  const { tokenizer, val } = prepared;
  const needs = {
    vocabSize: tokenizer.vocabSize,
    valTokens: val.ids.length,
    sampleTokens: Math.max(config.train.sampleTokens, sampleTokens),
    saved,
    resumed,
    text: bytesOfTokens(prepared),
    longestRow: prepared.documents?.longestRow,
    reading,
    program: program + growthOf(backend),
    kind: { ...backend.capabilities, name: backend.name },
    ranks,
    baseRows,
    teachers: teachers.map((teacher) => teacher.config),
  };
  const memory = await estimateMemory(config, needs);
  if (refuses) await checkMemory(config, needs, memory, available);
  return { memory, availableMemory: available.bytes };
};
