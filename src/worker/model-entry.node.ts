/** The module of a worker thread that holds models, generates with them and evaluates them. */
import type { BackendChoice } from "../backend/select.node.ts";
import type { DTypeChoice } from "../core/dtype.ts";
import { serveThread } from "../core/remote/worker.node.ts";
import { loadPretrained } from "../pretrained/load.node.ts";
import { modelMethods } from "./model-methods.ts";

/** A model to load, in the form of `loadPretrained`'s arguments. */
export interface LoadRequest {
  readonly directory: string;
  readonly backend?: BackendChoice | undefined;
  readonly threads?: number | undefined;
  readonly dtype?: DTypeChoice | undefined;
}

serveThread(
  modelMethods(
    ({ directory, ...options }: LoadRequest, onNotice) => loadPretrained(directory, { ...options, onNotice }),
    // Loaded when needed: generation begins sooner without.
    async () => (await import("../train/measuring/evaluate-corpus.ts")).evaluateCorpus,
  ),
);
