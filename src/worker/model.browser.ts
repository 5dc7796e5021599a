import { backendChoices } from "../backend/select.browser.ts";
import { checkBoolean, checkNumber } from "../core/checks/check-arguments.ts";
import { dataToMeasure, type EvaluateOptions } from "../evaluate/data.browser.ts";
import type { Evaluation } from "../evaluate/evaluate.ts";
import type { AdapterFiles } from "../pretrained/adapter/load.ts";
import { checkLoad } from "../pretrained/check-load.ts";
import { type CheckpointFiles, neededFiles } from "../pretrained/files/checkpoint-files.ts";
import type { AdapterSource, CheckpointSource } from "../pretrained/load.browser.ts";
import type { LoadRequest } from "./entry.browser.ts";
import { checkLoadInWorker, loadIn, type ThreadModel } from "./model.ts";
import { workers } from "./pool.browser.ts";

/** A model in its own worker: while it computes, the page goes on drawing and answering. */
export interface WorkerModel extends ThreadModel {
  /** Cross-entropy on a text, as `evaluate` measures it. */
  evaluate(options: EvaluateOptions): Promise<Evaluation>;
}

/** Options of `loadInWorker`. */
export interface WorkerLoadOptions extends Omit<LoadRequest, "checkpoint"> {
  /** Gets the bytes of the weights read so far, and in all, some times a second. Default: none. */
  readonly onProgress?: ((bytes: number, all: number) => void) | undefined;
}

/** The address as the calling thread would fetch it. */
const completeAddress = (address: string): string => {
  const base = typeof document === "undefined" ? globalThis.location?.href : document.baseURI;
  return URL.canParse(address, base) ? new URL(address, base).href : address;
};

/** A checkpoint in a form that can be sent to a worker: files are copied there, an address is completed. */
export const sentCheckpoint = (checkpoint: CheckpointSource): string | CheckpointFiles =>
  typeof checkpoint === "string" || checkpoint instanceof URL
    ? completeAddress(String(checkpoint))
    : neededFiles(checkpoint);

/** The same for an adapter. */
const sentAdapter = (adapter: AdapterSource): string | AdapterFiles =>
  typeof adapter === "string" || adapter instanceof URL ? completeAddress(String(adapter)) : adapter;

/**
 * Loads a language model in its own worker: same results as with `loadPretrained`, to the bit.
 * @param checkpoint its files, which are copied, or the address of the directory that serves them, or of a file that ends in `.gguf`.
 * @param options the name of a backend, threads, adapters.
 * @throws ConfigError if the page cannot start a worker, and as `loadPretrained`
 * @example
 * ```ts
 * import { loadInWorker } from "foretoken/browser";
 *
 * const lm = await loadInWorker("checkpoint/");
 * for await (const event of lm.generate({ prompt: "The " })) {
 *   if (event.type === "token") document.body.append(event.text);
 * }
 * await lm.close();
 * ```
 */
export const loadInWorker = async (
  checkpoint: CheckpointSource,
  options: WorkerLoadOptions = {},
): Promise<WorkerModel> => {
  checkLoadInWorker(options, backendChoices);
  checkLoad(checkpoint, options, true, "loadInWorker");
  const { onProgress, adapter, adapters, ...others } = options;
  const sent = {
    ...others,
    ...(adapter === undefined ? {} : { adapter: sentAdapter(adapter) }),
    ...(adapters === undefined
      ? {}
      : { adapters: Object.fromEntries(Object.entries(adapters).map(([name, one]) => [name, sentAdapter(one)])) }),
  };
  if (options.threads !== undefined) checkNumber("loadInWorker: threads", options.threads);
  if (options.keepBlocks !== undefined) checkBoolean("loadInWorker: keepBlocks", options.keepBlocks);
  const wanted = sentCheckpoint(checkpoint);
  const where = typeof wanted === "string" ? wanted : "checkpoint";
  const { model, evaluate } = await loadIn(workers.take(), { checkpoint: wanted, ...sent }, where, {
    onProgress: (bytes: number, all: number) => onProgress?.(bytes, all),
  });
  return Object.assign(model, {
    evaluate: async (measured: EvaluateOptions) => evaluate(...(await dataToMeasure(model, measured))),
  });
};
