/** Whether a run fits into memory: checked before anything is allocated for it or written. */

import type { RunConfig } from "../../config/config.ts";
import { ConfigError } from "../../core/errors/errors.ts";
import { formatBytes } from "../../core/text/format-bytes.ts";
import type { MemoryEstimate } from "../../runs/memory-estimate.ts";
import { estimateMemory, type MemoryNeeds } from "./memory.ts";

/** Available memory. */
export interface AvailableMemory {
  /** Bytes that this process can hold, including those it holds already. */
  readonly bytes: number;
  /** The limit of the container, if it is the lower one; else null. */
  readonly container: number | null;
}

/** The largest whole number from 1 to `most` that fits; 0 if none does. A smaller number must need no more. */
const largestThatFits = async (most: number, fits: (value: number) => Promise<boolean>): Promise<number> => {
  let fitting = 0;
  let tooMuch = most + 1;
  while (tooMuch - fitting > 1) {
    // Small values first: they are the quickest to try.
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
  if (!(await fits(1, 1))) return "a smaller model, as with fewer model.nLayer or a smaller model.nEmbd";
  const context = await largestThatFits(model.contextLength - 1, (length) => fits(1, length));
  return `train.batchSize 1 with model.contextLength ${Math.max(1, context)}`;
};

/** Whether the run would fit if it computed its blocks again in the backward pass. */
const fitsRecomputing = async (config: RunConfig, needs: MemoryNeeds, available: number): Promise<boolean> => {
  const { train } = config;
  if (train.recomputeActivations === true) return false;
  const recomputing = { ...config, train: { ...train, recomputeActivations: true } };
  return (await estimateMemory(recomputing, needs)).total <= available;
};

/** A run that would fit, as the end of an error line. */
const wayOut = async (config: RunConfig, needs: MemoryNeeds, available: number): Promise<string> => {
  const smaller = await smallerRun(config, needs, available);
  if (!(await fitsRecomputing(config, needs, available))) return smaller;
  return `train.recomputeActivations true, for the same result in about a third more time, or ${smaller}`;
};

const withContainer = ({ bytes, container }: AvailableMemory): string =>
  `${formatBytes(bytes)} free${container === null ? "" : ` of the container's ${formatBytes(container)}`}`;

/** The error for a run that does not fit into free memory; undefined if it fits. */
export const memoryWarning = ({ total }: MemoryEstimate, available: number | null): string | undefined =>
  available === null || total <= available
    ? undefined
    : `This run needs about ${formatBytes(total)} of memory and ${formatBytes(available)} are free: it will be slow or be ended by the system; a smaller batch, context or model needs less, and so does train.recomputeActivations`;

/**
 * Fails for a run that would not fit.
 * @param memory `estimateMemory` of the same.
 * @throws ConfigError naming the largest batch that would fit, else the longest context.
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
    must: "the run must fit into what is free",
    got: `${formatBytes(memory.total)} needed, ${withContainer(available)}`,
    hint: await wayOut(config, needs, available.bytes),
  });
};

/** Least bytes for a text file of `size` bytes: itself, its characters, and its tokens, in any language. */
const leastOfText = (size: number): number => 3 * size;

/**
 * Fails for a text that cannot fit, by the size of its file.
 * @throws ConfigError naming the file.
 */
export const checkTextSize = (path: string, size: number, available: AvailableMemory): void => {
  const least = leastOfText(size);
  if (least <= available.bytes) return;
  throw new ConfigError({
    where: path,
    must: "the text must fit into what is free",
    got: `${formatBytes(size)}, which take ${formatBytes(least)} or more, ${withContainer(available)}`,
    hint: "a part of it",
  });
};
