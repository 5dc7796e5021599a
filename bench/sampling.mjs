/**
 * Measures the time to choose a token from logits, for several vocabulary sizes and settings.
 *
 *     node bench/sampling.mjs [--rounds 200] [--vocab 65,49152,151936]
 *
 * Logits are drawn from a normal distribution with standard deviation 2.5. Prints medians and the range from the 5th to
 * the 95th percentile.
 */
import { parseArgs } from "node:util";
import { randomKey, randomStream } from "../dist/core/random.js";
import { createChain } from "../dist/generate/sampling/chain.js";
import { plainSampling } from "../dist/generate/sampling/settings.js";
import { machine, machineLine } from "./lib/machine.mjs";
import { wholeNumber } from "./lib/options.mjs";
import { count, digits, median, textTable } from "./lib/statistics.mjs";

const { values } = parseArgs({
  options: {
    rounds: { type: "string", default: "200" },
    vocab: { type: "string", default: "65,49152,151936" },
  },
});
const rounds = wholeNumber("rounds", values.rounds);
const ways = {
  "the defaults: temperature 0.8, top-k 40": { temperature: 0.8, topK: 40 },
  greedy: { temperature: 0 },
  "chat's: temperature 0.5, top-p 0.9": { temperature: 0.5, topP: 0.9 },
  "temperature 0.8, min-p 0.05": { temperature: 0.8, minP: 0.05 },
  "temperature 1, nothing else": { temperature: 1 },
  "the defaults with penalties": { temperature: 0.8, topK: 40, repetitionPenalty: 1.1, frequencyPenalty: 0.2 },
};

console.log(machineLine(machine()));
const rows = [["settings", "vocabulary", "milliseconds a token", "5–95%"]];
for (const vocabSize of values.vocab.split(",").map((one) => wholeNumber("vocab", one))) {
  const stream = randomStream(randomKey(1, "init"));
  const logits = Float32Array.from({ length: vocabSize }, () => 2.5 * stream.normal());
  for (const [name, settings] of Object.entries(ways)) {
    const chain = createChain({ sampling: { ...plainSampling, ...settings }, seed: 1 }, [1, 2, 3]);
    const times = [];
    for (let i = 0; i < rounds + 20; i++) {
      const began = performance.now();
      chain.next(logits);
      if (i >= 20) times.push(performance.now() - began);
    }
    times.sort((a, b) => a - b);
    const range = [0.05, 0.95].map((share) => digits(times[Math.floor(share * (times.length - 1))]));
    rows.push([name, count(vocabSize), digits(median(times)), range.join("–")]);
  }
}
console.log(textTable(rows));
