/** What a worker thread runs that holds models, and is asked to write with them and to measure them. */
import type { BackendChoice } from "../backend/select.node.ts";
import type { DTypeChoice } from "../core/dtype.ts";
import { serveThread } from "../core/remote/worker.node.ts";
import { loadPretrained } from "../pretrained/load.node.ts";
import { modelMethods } from "./model-methods.ts";

/** A model to load, as `loadPretrained` is told. */
export interface LoadRequest {
  readonly directory: string;
  readonly backend?: BackendChoice | undefined;
  readonly threads?: number | undefined;
  readonly dtype?: DTypeChoice | undefined;
}

serveThread(
  modelMethods(
    ({ directory, ...options }: LoadRequest, onNotice) => loadPretrained(directory, { ...options, onNotice }),
    // Not at once: a model that writes begins sooner without.
    async () => (await import("../train/measuring/evaluate-corpus.ts")).evaluateCorpus,
  ),
);
