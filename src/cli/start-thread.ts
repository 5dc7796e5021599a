import { prepareThread } from "../core/remote/worker.node.ts";
import { workerEntries } from "../worker/entries.node.ts";

/** Starts the worker thread of a command. */
export const startThread = (name: keyof typeof workerEntries): void => prepareThread(workerEntries[name]);
