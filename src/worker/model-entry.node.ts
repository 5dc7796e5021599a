/** What a worker thread runs that holds models, and is asked to write with them and to measure them. */
import { serveThread } from "../core/remote/worker.node.ts";
import { loadPretrained } from "../pretrained/load.node.ts";
import type { LoadRequest } from "./load-request.node.ts";
import { modelMethods } from "./model-methods.ts";

serveThread(
  modelMethods(
    ({ directory, ...options }: LoadRequest, onNotice) => loadPretrained(directory, { ...options, onNotice }),
    // Not at once: a model that writes begins sooner without.
    async () => (await import("../train/measuring/evaluate-corpus.ts")).evaluateCorpus,
  ),
);
