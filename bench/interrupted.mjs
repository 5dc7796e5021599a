/**
 * Measures the time between two tokens of a text, with and without a long prompt that is computed at the same time.
 *
 *     node bench/interrupted.mjs --model MODEL [--dtype bfloat16] [--streams 8] [--tokens 200] [--prompt 2000] [--rounds 3] [--threads 2]
 *
 * Prints the median and the 99th percentile of these times.
 */
import { parseArgs } from "node:util";
import { createSequenceEngine } from "../dist/engine/engine.js";
import { createChain } from "../dist/generate/sampling/chain.js";
import { plainSampling } from "../dist/generate/sampling/settings.js";
import { loadPretrained } from "../dist/pretrained/load.node.js";
import { machine, machineLine } from "./lib/machine.mjs";
import { namesOf, refuse, wholeNumber } from "./lib/options.mjs";
import { digits, median, textTable } from "./lib/statistics.mjs";

const { values } = parseArgs({
  options: {
    model: { type: "string" },
    dtype: { type: "string", default: "bfloat16" },
    streams: { type: "string", default: "8" },
    tokens: { type: "string", default: "200" },
    prompt: { type: "string", default: "2000" },
    rounds: { type: "string", default: "3" },
    threads: { type: "string", default: "2" },
  },
});
const path = values.model ?? refuse("--model: must name a model");
const [dtype] = namesOf("dtype", values.dtype, ["bfloat16", "float32"]);
const [streams, tokens, promptTokens, rounds, threads] = ["streams", "tokens", "prompt", "rounds", "threads"].map(
  (flag) => wholeNumber(flag, values[flag]),
);
const lm = await loadPretrained(path, { backend: "native", threads, dtype });
const { model } = lm;
const engine = createSequenceEngine(model, { cacheBytes: 2 ** 30, maxSequences: 64 });
const promptOf = (length, number) =>
  Array.from({ length }, (_, i) => (100 + i * 7919 + number * 104_729) % model.vocabSize);
let texts = 0;

/** Writes a text and calls `onToken` after each token. */
const write = (prompt, maxNewTokens, onToken) => {
  const chain = createChain({ sampling: { ...plainSampling, temperature: 0.8, topK: 40 }, seed: 1 }, prompt);
  const choose = (logits) => {
    onToken();
    return chain.next(logits);
  };
  return engine.write({ model, prompt, maxNewTokens, choose }).ended;
};

/** Times between two tokens of a text, in milliseconds. `during`: the times while a long prompt is computed. */
const gapsOf = async (withPrompt) => {
  const gaps = [];
  let reads = false;
  let long;
  const text = () => {
    let last;
    let count = 0;
    return write(promptOf(64, texts++), tokens, () => {
      const now = performance.now();
      // Counting begins after 20 tokens, when all texts have begun.
      if (last !== undefined && count > 20 && (reads || !withPrompt)) gaps.push(now - last);
      last = now;
      if (++count === 40 && withPrompt && long === undefined) {
        reads = true;
        long = write(promptOf(promptTokens, texts++), 1, () => {
          reads = false;
        });
      }
    });
  };
  await Promise.all([...Array.from({ length: streams }, text)]);
  await long;
  return gaps;
};

console.log(machineLine(machine()));
const rows = [["", "median gap", "99th percentile", "gaps"]];
const gaps = { alone: [], "beside the prompt": [] };
for (let round = 0; round <= rounds; round++) {
  for (const name of Object.keys(gaps)) {
    const found = await gapsOf(name !== "alone");
    // The first round is a warm-up.
    if (round > 0) gaps[name].push(...found);
  }
}
for (const [name, all] of Object.entries(gaps)) {
  all.sort((a, b) => a - b);
  rows.push([
    name,
    `${digits(median(all))} ms`,
    `${digits(all[Math.floor(0.99 * (all.length - 1))])} ms`,
    String(all.length),
  ]);
}
console.log(textTable(rows));
await engine.close();
await lm.close();
