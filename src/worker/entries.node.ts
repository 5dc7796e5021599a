/** The modules of worker threads, by their task. */
export const workerEntries = {
  model: new URL("./model-entry.node.js", import.meta.url),
  plan: new URL("./plan-entry.node.js", import.meta.url),
  train: new URL("./train-entry.node.js", import.meta.url),
} as const;
