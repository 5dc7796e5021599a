/**
 * Measures the time that guessed tokens save. One process generates the same texts with and without `speculate`, in
 * turn.
 *
 *     python scripts/fetch-model.py smollm2 FOLDER
 *     node bench/speculation.mjs --model FOLDER/smollm2-bf16.gguf [--draft MODEL] [--dtype bfloat16] [--threads 2] [--rounds 5]
 *                                [--streams 1,4] [--tokens 256] [--texts code,questions] [--sampling greedy,chat] [--json FILE]
 *
 * `code`: a model with a chat template must repeat a TypeScript file with one changed name. `questions`: the model
 * answers questions. Guesses come from the text (`ngram`) or, with --draft, from a second model. Texts must be equal
 * with and without guesses.
 * Prints tokens per second (medians of the rounds), the ratio of each round, the ratio of CPU times, and the share of
 * accepted guesses. On a busy machine, use the ratio of CPU times with --threads 1. With more threads, CPU times
 * include the time in which threads spin.
 */
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { conversationPrompt } from "../dist/chat/conversation.node.js";
import { generate, loadPretrained, openEngine } from "../dist/index.js";
import { machine, machineLine } from "./lib/machine.mjs";
import { namesOf, refuse, wholeNumber } from "./lib/options.mjs";
import { count, median, percent, ratioAndRange, textTable } from "./lib/statistics.mjs";

const texts = ["code", "questions"];
const samplings = { greedy: { temperature: 0 }, chat: { temperature: 0.5, topK: 0, topP: 0.9 } };
const { values } = parseArgs({
  options: {
    model: { type: "string" },
    draft: { type: "string" },
    dtype: { type: "string", default: "bfloat16" },
    threads: { type: "string", default: "2" },
    rounds: { type: "string", default: "5" },
    streams: { type: "string", default: "1,4" },
    tokens: { type: "string", default: "256" },
    texts: { type: "string", default: texts.join(",") },
    sampling: { type: "string", default: Object.keys(samplings).join(",") },
    json: { type: "string" },
  },
});
const [dtype] = namesOf("dtype", values.dtype, ["bfloat16", "float32"]);
const threads = wholeNumber("threads", values.threads);
const rounds = wholeNumber("rounds", values.rounds);
const maxNewTokens = wholeNumber("tokens", values.tokens);
const streams = values.streams.split(",").map((one) => wholeNumber("streams", one));
const kinds = namesOf("texts", values.texts, texts);
const ways = namesOf("sampling", values.sampling, Object.keys(samplings));

const file = `import { readFile } from "node:fs/promises";

/** A line of a list of things to buy. */
export interface Item {
  readonly name: string;
  readonly count: number;
  readonly price: number;
}

/** Reads a list: each line has a name, a count and a price, with commas between them. */
export const readItems = async (path: string): Promise<Item[]> => {
  const text = await readFile(path, "utf8");
  const items: Item[] = [];
  for (const line of text.split("\\n")) {
    if (line.trim() === "") continue;
    const [name = "", count = "", price = ""] = line.split(",").map((part) => part.trim());
    if (Number.isNaN(Number(count)) || Number.isNaN(Number(price))) {
      throw new Error(\`a line must have a count and a price: \${line}\`);
    }
    items.push({ name, count: Number(count), price: Number(price) });
  }
  return items;
};

/** What all of them cost. */
export const totalOf = (items: readonly Item[]): number => {
  let total = 0;
  for (const item of items) total += item.count * item.price;
  return total;
};

/** The items that cost more than a limit, the most expensive first. */
export const expensive = (items: readonly Item[], limit: number): Item[] =>
  items.filter((item) => item.price > limit).sort((a, b) => b.price - a.price);
`;
const edits = ["`Item` to `Article`", "`items` to `entries`", "`price` to `cost`", "`count` to `amount`"];
const questions = [
  "Why is the sky blue?",
  "How do I cook rice for four people?",
  "What is the difference between a virus and a bacterium?",
  "Give me some advice for learning to play the piano.",
];
const requests = {
  code: edits.map(
    (edit) => `Rename ${edit} in this file and write the whole file again.\n\n\`\`\`typescript\n${file}\`\`\``,
  ),
  questions,
};

const lm = await loadPretrained(values.model ?? refuse("--model: must name a model"), { dtype, threads });
const draft =
  values.draft === undefined ? undefined : await loadPretrained(values.draft, { backend: lm.model.backend });
const speculate = draft ?? "ngram";

const promptOf = async (content) => {
  const { model, tokenizer, chatTemplate } = lm;
  const partner = { config: model.config, tokenizer, chatTemplate, generate: (options) => generate(lm, options) };
  return (await conversationPrompt(partner, [{ role: "user", content }], maxNewTokens, "bench")).ids;
};
const prompts = Object.fromEntries(
  await Promise.all(kinds.map(async (kind) => [kind, await Promise.all(requests[kind].map(promptOf))])),
);

/**
 * Generates one text for each stream, all at once. `seconds` is the time between the first token of any text and the
 * last token of any text.
 */
const write = async (kind, number, sampling, round, guessing) => {
  const engine = await openEngine(lm);
  const before = process.cpuUsage();
  const one = async (stream) => {
    const prompt = prompts[kind][(stream + round) % prompts[kind].length];
    const options = { ...samplings[sampling], maxNewTokens, seed: round * 100 + stream, speculate: guessing };
    let first;
    for await (const event of engine.generate({ ...options, prompt })) {
      if (event.type === "token") first ??= performance.now();
      if (event.type === "done") return { event, first, last: performance.now() };
    }
  };
  const written = await Promise.all(Array.from({ length: number }, (_, stream) => one(stream)));
  await engine.close();
  const { user, system } = process.cpuUsage(before);
  const from = Math.min(...written.map(({ first }) => first));
  return {
    cpu: user + system,
    seconds: (Math.max(...written.map(({ last }) => last)) - from) / 1000,
    tokens: written.reduce((sum, { event }) => sum + event.newTokens, 0),
    text: written.map(({ event }) => event.text).join("\0"),
    guessed: written.reduce((sum, { event }) => sum + (event.guesses?.guessed ?? 0), 0),
    accepted: written.reduce((sum, { event }) => sum + (event.guesses?.accepted ?? 0), 0),
  };
};

console.log(machineLine(machine()));
const rows = [
  [
    "",
    "streams",
    "plain, tokens/s",
    "guessing, tokens/s",
    "ratio",
    "ratio of CPU time",
    "guesses a token",
    "came true",
  ],
];
const results = [];
for (const kind of kinds) {
  for (const sampling of ways) {
    for (const number of streams) {
      const ratios = [];
      const ratiosOfCpu = [];
      const rates = { plain: [], guessing: [] };
      const sums = { tokens: 0, guessed: 0, accepted: 0 };
      for (let round = 0; round <= rounds; round++) {
        const order = round % 2 === 0 ? [false, speculate] : [speculate, false];
        const both = new Map();
        for (const guessing of order) both.set(guessing, await write(kind, number, sampling, round, guessing));
        const [plain, guessing] = [both.get(false), both.get(speculate)];
        if (plain.text !== guessing.text)
          throw new Error(`${kind}, ${sampling}: texts must be equal with and without guesses`);
        // The first round is a warm-up.
        if (round === 0) continue;
        rates.plain.push(plain.tokens / plain.seconds);
        rates.guessing.push(guessing.tokens / guessing.seconds);
        ratios.push(plain.seconds / guessing.seconds);
        ratiosOfCpu.push(plain.cpu / guessing.cpu);
        for (const name of Object.keys(sums)) sums[name] += guessing[name];
      }
      rows.push([
        `${kind}, ${sampling}`,
        String(number),
        count(median(rates.plain)),
        count(median(rates.guessing)),
        ratioAndRange(ratios),
        ratioAndRange(ratiosOfCpu),
        (sums.guessed / sums.tokens).toFixed(2),
        percent(sums.accepted / sums.guessed),
      ]);
      results.push({ kind, sampling, streams: number, rates, ratios, ratiosOfCpu, ...sums });
    }
  }
}
console.log(textTable(rows));
await draft?.close();
await lm.close();
if (values.json !== undefined) {
  const about = { machine: machine(), model: values.model, draft: values.draft, dtype, threads, maxNewTokens };
  writeFileSync(values.json, `${JSON.stringify({ ...about, results })}\n`);
}
