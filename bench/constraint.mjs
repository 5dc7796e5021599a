/**
 * Measures the time that a constraint costs, and the time that it saves if only one next token is allowed. The texts
 * follow a JSON Schema with long names.
 *
 *     python scripts/fetch-model.py smollm2 FOLDER
 *     node bench/constraint.mjs --model FOLDER/smollm2-bf16.gguf [--dtype bfloat16] [--threads 2] [--rounds 5] [--tokens 200]
 *
 * One process measures three ways in turn. The first way generates the same number of tokens without a constraint. The
 * second way uses the constraint, token by token. The third way also uses forced tokens as guesses for the next pass,
 * as in `generate`. The second and the third way generate the same text. Prints tokens per second, as medians of the
 * rounds. Also prints the time to compute a mask: for the first text, when all states of the constraint are new, and
 * for later texts.
 */
import { parseArgs } from "node:util";
import { compileConstraint, loadPretrained, openEngine } from "../dist/index.js";
import { machine, machineLine } from "./lib/machine.mjs";
import { namesOf, refuse, wholeNumber } from "./lib/options.mjs";
import { count, digits, median, percent, ratioAndRange, textTable } from "./lib/statistics.mjs";

const { values } = parseArgs({
  options: {
    model: { type: "string" },
    dtype: { type: "string", default: "bfloat16" },
    threads: { type: "string", default: "2" },
    rounds: { type: "string", default: "5" },
    tokens: { type: "string", default: "200" },
  },
});
const [dtype] = namesOf("dtype", values.dtype, ["bfloat16", "float32"]);
const threads = wholeNumber("threads", values.threads);
const rounds = wholeNumber("rounds", values.rounds);
const maxNewTokens = wholeNumber("tokens", values.tokens);

const text = { type: "string", maxLength: 12 };
const amount = { type: "integer", minimum: 0, maximum: 9999 };
const properties = {
  customerIdentificationNumber: amount,
  preferredDeliveryAddress: text,
  numberOfOutstandingInvoices: amount,
  emergencyContactPhoneNumber: text,
  hasAcceptedTermsAndConditions: { type: "boolean" },
  mostRecentPurchaseDescription: text,
};
const schema = { type: "object", properties, required: Object.keys(properties), additionalProperties: false };
const constraint = { kind: /** @type {const} */ ("jsonSchema"), schema };
// The prompt contains the names, so the model writes them with the same tokens as its tokenizer.
const prompt = `The schema is ${JSON.stringify(schema)}\nA record of a customer, as JSON: `;

const lm = await loadPretrained(values.model ?? refuse("--model: must name a model"), { dtype, threads });
const compiled = compileConstraint(constraint, lm.tokenizer);

/**
 * Keeps only the tokens that the constraint allows, as in `generate`, but without guesses. @param times collects the
 * time of each mask, in ms.
 */
const tokenByToken = (times) => {
  const matcher = compiled.matcher(lm.endTokens);
  const mask = new Uint32Array(matcher.maskLength);
  let seen;
  return (logits, ids) => {
    for (let i = seen ?? ids.length; i < ids.length; i++) matcher.accept(ids[i]);
    seen = ids.length;
    const begin = performance.now();
    matcher.mask(mask);
    times.push(performance.now() - begin);
    for (let id = 0; id < logits.length; id++)
      if (((mask[id >> 5] ?? 0) & (1 << (id & 31))) === 0) logits[id] = -Infinity;
  };
};

/** Generates one text. `seconds` is the time from the first token to the last. */
const write = async (options) => {
  const engine = await openEngine(lm);
  const before = process.cpuUsage();
  let first;
  let written;
  for await (const event of engine.generate({ prompt, temperature: 0.8, topK: 0, ...options })) {
    if (event.type === "token") first ??= performance.now();
    if (event.type === "done")
      written = { text: event.text, tokens: event.newTokens, seconds: (performance.now() - first) / 1000 };
  }
  const { guessed, accepted } = engine.counts();
  await engine.close();
  const { user, system } = process.cpuUsage(before);
  return { ...written, guessed, accepted, cpu: (user + system) / written.tokens };
};

const quantile = (numbers, share) => {
  const sorted = numbers.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? 0;
};
const mean = (numbers) => numbers.reduce((sum, one) => sum + one, 0) / numbers.length;

console.log(machineLine(machine()));
const rates = { none: [], single: [], forced: [] };
const ratios = { single: [], forced: [] };
const ratiosOfCpu = { single: [], forced: [] };
const masks = { first: [], later: [] };
const sums = { tokens: 0, guessed: 0, accepted: 0 };
for (let round = 0; round <= rounds; round++) {
  const seed = round + 1;
  const single = await write({
    ...{ seed, maxNewTokens },
    adjustLogits: tokenByToken(masks[round === 0 ? "first" : "later"]),
  });
  const forced = await write({ seed, maxNewTokens, constraint });
  // `forced` ends when the text is complete. `single` continues until it draws the end token.
  if (!single.text.startsWith(forced.text)) throw new Error("texts must be equal with and without guesses");
  const logitBias = Object.fromEntries(lm.endTokens.map((id) => [id, -100]));
  const none = await write({ seed, maxNewTokens: forced.tokens, logitBias });
  // The first round is a warm-up.
  if (round === 0) continue;
  for (const [name, one] of Object.entries({ none, single, forced })) rates[name].push((one.tokens - 1) / one.seconds);
  for (const [name, one] of Object.entries({ single, forced })) {
    ratios[name].push(one.tokens / one.seconds / (none.tokens / none.seconds));
    ratiosOfCpu[name].push(none.cpu / one.cpu);
  }
  sums.tokens += forced.tokens;
  sums.guessed += forced.guessed;
  sums.accepted += forced.accepted;
}
const row = (title, name) => [
  title,
  count(median(rates[name])),
  ...(name === "none" ? ["1", "1"] : [ratioAndRange(ratios[name]), ratioAndRange(ratiosOfCpu[name])]),
];
console.log(
  textTable([
    ["", "tokens/s", "ratio", "ratio of CPU time a token"],
    row("no constraint", "none"),
    row("constraint, token by token", "single"),
    row("constraint, forced tokens guessed", "forced"),
  ]),
);
console.log(
  `${(sums.guessed / sums.tokens).toFixed(2)} guesses a token, ${percent(sums.accepted / sums.guessed)} accepted`,
);
for (const [name, times] of Object.entries(masks)) {
  console.log(
    `mask, ${name === "first" ? "the first text" : "later texts"}: mean ${digits(mean(times))} ms, p99 ${digits(quantile(times, 0.99))} ms`,
  );
}
await lm.close();
