import { backendChoices } from "../backend/select.browser.ts";
import { checkBoolean, checkNumber } from "../core/checks/check-arguments.ts";
import { dataToMeasure, type EvaluateOptions } from "../evaluate/data.browser.ts";
import type { Evaluation } from "../evaluate/evaluate.ts";
import type { AdapterFiles } from "../pretrained/adapter/opened.ts";
import { checkLoad } from "../pretrained/check-load.ts";
import { type CheckpointFiles, neededFiles } from "../pretrained/files/names.ts";
import type { AdapterSource, CheckpointSource } from "../pretrained/load.browser.ts";
import type { LoadRequest } from "./entry.browser.ts";
import { checkLoadInWorker, loadIn, type ThreadModel } from "./model.ts";
import { workers } from "./pool.browser.ts";

/** A model in its own worker. The page stays responsive while the model computes. */
export interface WorkerModel extends ThreadModel {
  /** Computes the cross-entropy on a text, like the library's `evaluate`. */
  evaluate(options: EvaluateOptions): Promise<Evaluation>;
}

/** Options of `loadInWorker`. */
export interface WorkerLoadOptions extends Omit<LoadRequest, "checkpoint"> {
  /**
   * Called a few times per second with the number of bytes of the weights read so far, and the number of all bytes.
   * Default: none.
   */
  readonly onProgress?: ((bytes: number, all: number) => void) | undefined;
}

/** Returns the complete address that the calling thread would fetch. */
const completeAddress = (address: string): string => {
  const base = typeof document === "undefined" ? globalThis.location?.href : document.baseURI;
  return URL.canParse(address, base) ? new URL(address, base).href : address;
};

/** A checkpoint in a form that can be sent to a worker. Files are copied, and an address is completed. */
export const sentCheckpoint = (checkpoint: CheckpointSource): string | CheckpointFiles =>
  typeof checkpoint === "string" || checkpoint instanceof URL
    ? completeAddress(String(checkpoint))
    : neededFiles(checkpoint);

/** An adapter in a form that can be sent to a worker. */
const sentAdapter = (adapter: AdapterSource): string | AdapterFiles =>
  typeof adapter === "string" || adapter instanceof URL ? completeAddress(String(adapter)) : adapter;

/**
 * Loads a language model in its own worker. The results have the same bits as with `loadPretrained`.
 * @param checkpoint the checkpoint's files (they are copied), the address of its directory, or the address of a `.gguf`
 * file.
 * @param options the name of a backend, threads, adapters.
 * @throws ConfigError if the page cannot start a worker; also the errors of `loadPretrained`.
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
