import { prepareThread } from "../core/remote/worker.node.ts";
import { workerEntries } from "../worker/entries.node.ts";

/** Starts the thread that a verb computes in. */
export const startThread = (name: keyof typeof workerEntries): void => prepareThread(workerEntries[name]);
