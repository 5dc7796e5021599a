import { backendChoices } from "../backend/select.browser.ts";
import { checkKeys, checkNumber, checkText } from "../core/check-arguments.ts";
import { manifestName } from "../io/manifest.ts";
import { checkLoad } from "../pretrained/check-load.ts";
import type { CheckpointFiles } from "../pretrained/load.browser.ts";
import { pretrainedNames } from "../pretrained/parse.ts";
import type { Evaluation } from "../train/measuring/evaluate.ts";
import { type EvaluateOptions, wholeText } from "../train/train.browser.ts";
import type { LoadRequest } from "./entry.browser.ts";
import { checkLoadInWorker, loadIn, type ThreadModel } from "./model.ts";
import { workers } from "./pool.browser.ts";

/** A model in its own worker: while it computes, the page goes on drawing and answering. */
export interface WorkerModel extends ThreadModel {
  /** Cross-entropy on a text, as `evaluate` measures it. */
  evaluate(options: EvaluateOptions): Promise<Evaluation>;
}

/** Options of `loadInWorker`. */
export type WorkerLoadOptions = Omit<LoadRequest, "checkpoint">;

/** The checkpoint's other files are not needed here. */
const neededFiles = (files: CheckpointFiles): CheckpointFiles => {
  const names = [...pretrainedNames, manifestName].filter((name) => files[name] !== undefined);
  return Object.fromEntries(names.map((name) => [name, files[name]])) as CheckpointFiles;
};

/** The address as the calling thread would fetch it. */
const completeAddress = (address: string): string => {
  const base = typeof document === "undefined" ? globalThis.location?.href : document.baseURI;
  return URL.canParse(address, base) ? new URL(address, base).href : address;
};

/**
 * Loads a language model in its own worker: same results as with `loadPretrained`, to the bit.
 * @param checkpoint its files, which are copied, or the address of the directory that serves them.
 * @throws ConfigError if the page cannot start a worker, and as `loadPretrained`
 */
export const loadInWorker = async (
  checkpoint: string | URL | CheckpointFiles,
  options: WorkerLoadOptions = {},
): Promise<WorkerModel> => {
  checkLoadInWorker(options, backendChoices);
  checkLoad(checkpoint, options, true, "loadInWorker");
  checkKeys("loadInWorker", options, ["backend", "threads"]);
  if (options.threads !== undefined) checkNumber("loadInWorker: threads", options.threads);
  const isAddress = typeof checkpoint === "string" || checkpoint instanceof URL;
  const wanted = isAddress ? completeAddress(String(checkpoint)) : neededFiles(checkpoint);
  const where = typeof wanted === "string" ? wanted : "checkpoint";
  const { model, evaluate } = await loadIn(workers.take(), { checkpoint: wanted, ...options }, where);
  return {
    ...model,
    evaluate: async (measured) => {
      checkKeys("evaluate", measured, ["text", "signal", "onProgress"]);
      const { text, ...measuring } = measured;
      checkText("evaluate: text", text);
      return evaluate(wholeText(text), { ...measuring, split: "all" });
    },
  };
};
