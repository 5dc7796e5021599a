/** Checks whether a run fits into memory, before anything is allocated or written. */

import type { RunConfig } from "../../config/config.ts";
import { ConfigError } from "../../core/errors/errors.ts";
import { formatBytes } from "../../core/text/format-bytes.ts";
import type { MemoryEstimate } from "../../runs/memory-estimate.ts";
import { estimateMemory, type MemoryNeeds } from "./memory.ts";

/** Available memory. */
export interface AvailableMemory {
  /** Memory that this process can use in total, in bytes, including the memory that it uses already. */
  readonly bytes: number;
  /** The container's limit, if it is the lower limit; else null. */
  readonly container: number | null;
}

/**
 * The largest whole number from 1 to `most` that fits; 0 if none fits. Larger numbers must need at least as much
 * memory.
 */
const largestThatFits = async (most: number, fits: (value: number) => Promise<boolean>): Promise<number> => {
  let fitting = 0;
  let tooMuch = most + 1;
  while (tooMuch - fitting > 1) {
    // Starts with small numbers: they are the quickest to try.
    const value = Math.max(1, Math.floor((fitting + tooMuch) / 2));
    if (await fits(value)) fitting = value;
    else tooMuch = value;
  }
  return fitting;
};

/** A smaller run that would fit. */
const smallerRun = async (config: RunConfig, needs: MemoryNeeds, available: number): Promise<string> => {
  const { model, train, ...others } = config;
  const totalOf = async (batchSize: number, contextLength: number): Promise<number> => {
    const smaller = { ...others, model: { ...model, contextLength }, train: { ...train, batchSize } };
    return (await estimateMemory(smaller, needs)).total;
  };
  const fits = async (batchSize: number, contextLength: number): Promise<boolean> =>
    (await totalOf(batchSize, contextLength)) <= available;
  if (needs.program + needs.text + needs.reading > available) return "a part of the text";
  if (await fits(1, model.contextLength)) {
    const batch = await largestThatFits(train.batchSize - 1, (size) => fits(size, model.contextLength));
    return `train.batchSize ${Math.max(1, batch)}`;
  }
  if (!(await fits(1, 1))) return "a smaller model: fewer layers (model.nLayer) or a smaller model.nEmbd";
  const context = await largestThatFits(model.contextLength - 1, (length) => fits(1, length));
  return `train.batchSize 1 with model.contextLength ${Math.max(1, context)}`;
};

/** Whether the run would fit with activations recomputed in the backward pass. */
const fitsRecomputing = async (config: RunConfig, needs: MemoryNeeds, available: number): Promise<boolean> => {
  const { train } = config;
  if (train.recomputeActivations === true) return false;
  const recomputing = { ...config, train: { ...train, recomputeActivations: true } };
  return (await estimateMemory(recomputing, needs)).total <= available;
};

/** A smaller run that would fit, as the hint of an error. */
const wayOut = async (config: RunConfig, needs: MemoryNeeds, available: number): Promise<string> => {
  const smaller = await smallerRun(config, needs, available);
  if (!(await fitsRecomputing(config, needs, available))) return smaller;
  return `train.recomputeActivations true, for the same result in about a third more time, or ${smaller}`;
};

const withContainer = ({ bytes, container }: AvailableMemory): string =>
  `${formatBytes(bytes)} free${container === null ? "" : ` of the container's ${formatBytes(container)}`}`;

/** The notice for a run that does not fit into free memory; undefined if it fits. */
export const memoryWarning = ({ total }: MemoryEstimate, available: number | null): string | undefined =>
  available === null || total <= available
    ? undefined
    : `This run needs about ${formatBytes(total)} of memory, but only ${formatBytes(available)} are free: it will be slow, or the system will end it; try a smaller batch, context or model, or train.recomputeActivations`;

/**
 * Refuses a run that would not fit into memory.
 * @param memory the result of `estimateMemory` for the same run.
 * @throws ConfigError that names the largest batch that would fit; if none fits, the longest context.
 */
export const checkMemory = async (
  config: RunConfig,
  needs: MemoryNeeds,
  memory: MemoryEstimate,
  available: AvailableMemory,
): Promise<void> => {
  if (memory.total <= available.bytes) return;
  throw new ConfigError({
    where: "memory",
    must: "the run must fit into free memory",
    got: `${formatBytes(memory.total)} needed, ${withContainer(available)}`,
    hint: await wayOut(config, needs, available.bytes),
  });
};

/**
 * Lower bound of the memory for a text file of `size` bytes, in any language: its bytes, its characters and its tokens.
 */
const leastOfText = (size: number): number => 3 * size;

/**
 * Refuses a text that is too large for memory, by the size of its file.
 * @throws ConfigError that names the file.
 */
export const checkTextSize = (path: string, size: number, available: AvailableMemory): void => {
  const least = leastOfText(size);
  if (least <= available.bytes) return;
  throw new ConfigError({
    where: path,
    must: "the text must fit into free memory",
    got: `${formatBytes(size)}, which take ${formatBytes(least)} or more, ${withContainer(available)}`,
    hint: "a part of it",
  });
};
