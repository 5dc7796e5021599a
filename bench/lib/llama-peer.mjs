// Runs llama.cpp through node-llama-cpp, in one thread, with a float32 KV cache.
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { refuse } from "./options.mjs";

const peer = new URL("../peers-llama/node_modules/node-llama-cpp/dist/index.js", import.meta.url);

/** Loads llama.cpp. Ends the program if it is not installed. */
export const openLlama = async () => {
  if (!existsSync(fileURLToPath(peer))) {
    refuse("node-llama-cpp: try npm install --prefix bench/peers-llama --ignore-scripts");
  }
  const { getLlama } = await import(peer.href);
  return getLlama({ build: "never", gpu: false, maxThreads: 1, logLevel: "error" });
};

/** A sequence in its own context. @param more options of this context, such as `lora`. */
export const openSequence = async (model, contextSize, more = {}) => {
  const context = await model.createContext({
    contextSize,
    threads: { ideal: 1, min: 1 },
    flashAttention: false,
    experimentalKvCacheKeyType: "F32",
    experimentalKvCacheValueType: "F32",
    ...more,
  });
  return { sequence: context.getSequence(), close: () => context.dispose() };
};

/** Greedy tokens after a prompt, each with the gap between the two best logits. */
export const greedyIds = async (sequence, promptIds, count) => {
  await sequence.clearHistory();
  const [ids, gaps] = [[], []];
  let input = [...promptIds];
  while (ids.length < count) {
    const last = input.length - 1;
    const generateNext = { token: true, logits: { filter: { includeTop: 2 } }, options: { temperature: 0 } };
    input[last] = [input[last], { generateNext }];
    const { token, logits } = (await sequence.controlledEvaluate(input))[last].next;
    const [best, second] = [...logits.values()].sort((a, b) => b - a);
    ids.push(token);
    gaps.push(best - second);
    input = [token];
  }
  return { ids, gaps };
};
