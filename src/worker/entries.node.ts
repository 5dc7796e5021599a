/** Modules of worker threads, by task. */
export const workerEntries = {
  model: new URL("./model-entry.node.js", import.meta.url),
  plan: new URL("./plan-entry.node.js", import.meta.url),
  train: new URL("./train-entry.node.js", import.meta.url),
} as const;
