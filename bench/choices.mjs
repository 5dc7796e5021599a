/**
 * Measures the time for multiple-choice questions in two ways. In the first way, all texts are computed at once, and a
 * shared beginning only once. In the second way, texts are computed one after the other.
 *
 *     node bench/choices.mjs --model MODEL [--dtype bfloat16] [--questions 1000] [--choices 4] [--context 60] [--threads 2]
 *
 * The questions are random tokens, with answers of 1 to 8 tokens. Checks that log-probabilities differ by at most 1e-9,
 * and prints the seconds of each way.
 */
import { parseArgs } from "node:util";
import { evaluateChoices } from "../dist/evaluate/choices.js";
import { loadPretrained } from "../dist/pretrained/load.node.js";
import { machine, machineLine } from "./lib/machine.mjs";
import { namesOf, refuse, wholeNumber } from "./lib/options.mjs";
import { digits } from "./lib/statistics.mjs";
import { randomOf } from "./soak/lib/random.mjs";

const { values } = parseArgs({
  options: {
    model: { type: "string" },
    dtype: { type: "string", default: "bfloat16" },
    questions: { type: "string", default: "1000" },
    choices: { type: "string", default: "4" },
    context: { type: "string", default: "60" },
    threads: { type: "string", default: "2" },
  },
});
const model = values.model ?? refuse("--model: must name a model");
const [dtype] = namesOf("dtype", values.dtype, ["bfloat16", "float32"]);
const [questionCount, choiceCount, context, threads] = ["questions", "choices", "context", "threads"].map((flag) =>
  wholeNumber(flag, values[flag]),
);
const lm = await loadPretrained(model, { backend: "native", threads, dtype });
const { tokenizer } = lm;
const random = randomOf(1, "choices");
/** Whole words: encoding the decoded text then gives the same tokens. */
const words = "the a one red old king house went to see and why not under water light".split(" ");
const textOf = (length) => Array.from({ length }, () => random.pick(words)).join(" ");
const questions = Array.from({ length: questionCount }, () => ({
  context: textOf(context),
  choices: Array.from({ length: choiceCount }, () => ` ${textOf(random.between(1, 8))}`),
  answer: random.below(choiceCount),
}));

console.log(machineLine(machine()));
const timed = async (work) => {
  const began = performance.now();
  const result = await work();
  return { result, seconds: (performance.now() - began) / 1000 };
};
await evaluateChoices(lm, questions.slice(0, 5));
const together = await timed(() => evaluateChoices(lm, questions));
const alone = await timed(async () => {
  const all = [];
  for (const { context: before, choices } of questions) {
    const from = tokenizer.encode(before).length;
    const sums = [];
    for (const choice of choices) {
      const { tokens } = await lm.score(before + choice);
      sums.push(tokens.slice(from).reduce((sum, { logProb }) => sum + logProb, 0));
    }
    all.push(sums);
  }
  return all;
});
let most = 0;
for (const [i, { logProbs }] of together.result.results.entries())
  for (const [j, one] of logProbs.entries()) most = Math.max(most, Math.abs(one - alone.result[i][j]));
console.log(
  `${questionCount} questions of ${choiceCount} answers: ${digits(together.seconds)} s; text after text ${digits(alone.seconds)} s: ${digits(alone.seconds / together.seconds)}×`,
);
console.log(`accuracy ${together.result.accuracy}; largest difference of a log-probability: ${most}`);
if (most > 1e-9) process.exitCode = 1;
await lm.close();
