/** The modules that worker threads run, by what these do. */
export const workerEntries = {
  model: new URL("./model-entry.node.js", import.meta.url),
  train: new URL("./train-entry.node.js", import.meta.url),
} as const;
