/**
 * Compares the time of training steps in this checkout and in another checkout, such as an earlier commit. Both
 * checkouts must be built. The checkouts use equal tokens and configurations. The checkouts take turns, and the order
 * changes from round to round. Every round starts new processes, because the speed of a process varies by some percent
 * with the placement of its memory.
 * For each configuration, backend and dtype, it prints the median of the ratio new time / old time over the rounds. The
 * script also prints the 95 % interval of this median, which is valid for any distribution.
 *
 *     node bench/compare.mjs --with FOLDER [--config nano-cpu,book,baby,gpt2,quick,shakespeare] [--only native,wasm]
 *                            [--dtype float32,bfloat16] [--rounds 20] [--seconds 1] [--threads 2] [--json FILE]
 *
 * --seconds is the approximate time of one process in one round (at least one step). The exit status is 1 if an
 * interval reaches --limit (default: 1.02).
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { presets } from "../dist/config/presets.js";
import { loadCorpus } from "../dist/data/corpora.node.js";
import { trainCharTokenizer } from "../dist/tokenizer/char.js";
import { configs, measured, randomTokens, runConfig } from "./lib/configs.mjs";
import { startContestant } from "./lib/contestants.mjs";
import { machine, machineLine } from "./lib/machine.mjs";
import { commonOptions, namesOf, refuse, wholeNumber } from "./lib/options.mjs";
import { digits, median, medianInterval, textTable } from "./lib/statistics.mjs";

/** Old and new also take turns within a round. So other load on the machine affects both in the same way. */
const turnsOfRound = 5;
const ofPresets = ["quick", "shakespeare"];
const { values } = parseArgs({
  options: {
    ...commonOptions,
    with: { type: "string" },
    config: { type: "string", default: [...measured, ...ofPresets].join(",") },
    only: { type: "string", default: "native,wasm" },
    dtype: { type: "string", default: "float32,bfloat16" },
    rounds: { type: "string", default: "20" },
    seconds: { type: "string", default: "1" },
    limit: { type: "string", default: "1.02" },
  },
});
if (values.with === undefined) refuse("--with: must name another checkout that is built");
const names = namesOf("config", values.config, [...Object.keys(configs), ...ofPresets]);
const backends = namesOf("only", values.only, ["native", "wasm", "reference"]);
const dtypes = namesOf("dtype", values.dtype, ["float32", "bfloat16"]);
const rounds = wholeNumber("rounds", values.rounds);
const threads = wholeNumber("threads", values.threads);
const seconds = Number(values.seconds);
const limit = Number(values.limit);
if (!(seconds > 0)) refuse(`--seconds: must be above 0; got ${values.seconds}`);
if (rounds < 6) refuse(`--rounds: must be at least 6, because the interval needs 6 rounds; got ${rounds}`);

const folder = mkdtempSync(join(tmpdir(), "foretoken-compare-"));
process.on("exit", () => rmSync(folder, { recursive: true }));

/** Number of tokens in the text, and number of different tokens. */
const textTokens = async () => {
  const corpus = await loadCorpus();
  const tokenizer = trainCharTokenizer(corpus.train, corpus.val);
  return { tokens: tokenizer.encode(corpus.train), vocabSize: tokenizer.vocabSize };
};

/** A run's configuration, vocabulary size and file of tokens. */
const planOf = async (name) => {
  const file = join(folder, `${name}.i32`);
  const random = configs[name]?.vocabSize ?? null;
  const { tokens, vocabSize } =
    random === null ? await textTokens() : { tokens: randomTokens(100_000, random), vocabSize: random };
  writeFileSync(file, tokens);
  const config = ofPresets.includes(name) ? presets[name] : runConfig(name);
  return { file, config, vocabSize };
};

const here = fileURLToPath(new URL("..", import.meta.url));
const checkouts = { old: resolve(values.with), new: here };

/** Ratio new time / old time of each round. Undefined if a process does not start. */
const compare = async (name, backend, dtype) => {
  const { file, config, vocabSize } = await planOf(name);
  const request = JSON.stringify({ config, vocabSize, threads, backend, dtype });
  const commands = Object.fromEntries(
    Object.entries(checkouts).map(([which, checkout]) => [
      which,
      [process.execPath, join(checkout, "bench/peers/foretoken_train.mjs"), file, request],
    ]),
  );
  const times = { old: [], new: [] };
  const ratios = [];
  let steps;
  let instructionSet;
  for (let round = 0; round < rounds; round++) {
    const order = round % 2 === 0 ? ["old", "new"] : ["new", "old"];
    // Both processes load their modules at the same time, because nothing is measured yet.
    const both = await Promise.all(
      order.map((which) => startContestant(`${which} ${backend} ${dtype}`, commands[which])),
    );
    if (both.includes(undefined)) {
      for (const one of both) await one?.end();
      return undefined;
    }
    const started = Object.fromEntries(order.map((which, i) => [which, both[i]]));
    ({ instructionSet } = started.new.about);
    const warm = {};
    for (const which of order) warm[which] = (await started[which].ask({ steps: 1 })).milliseconds;
    const slow = Math.min(warm.old[0], warm.new[0]) > 500;
    if (!slow) for (const which of order) warm[which] = (await started[which].ask({ steps: 5 })).milliseconds;
    steps ??= slow ? 1 : Math.max(1, Math.round((1000 * seconds) / turnsOfRound / Math.min(...warm.new)));
    const turns = { old: [], new: [] };
    // If a step is slow, one step per turn is enough.
    for (let turn = 0; turn < (slow ? 1 : turnsOfRound); turn++)
      for (const which of turn % 2 === 0 ? order : order.toReversed())
        turns[which].push(median((await started[which].ask({ steps })).milliseconds));
    for (const which of order) times[which].push(median(turns[which]));
    ratios.push(median(turns.new.map((time, i) => time / turns.old[i])));
    await Promise.all(both.map((one) => one.end()));
  }
  return { name, backend, dtype, instructionSet, steps, times, ratios };
};

const about = machine();
console.log(machineLine(about));
console.log(`${rounds} rounds, ${threads} threads; old is ${checkouts.old}\n`);
const results = [];
for (const name of names) {
  for (const backend of backends) {
    for (const dtype of dtypes) {
      const result = await compare(name, backend, dtype);
      if (result === undefined) continue;
      results.push({ ...result, median: median(result.ratios), interval: medianInterval(result.ratios) });
      const { median: middle, interval, times, instructionSet } = results.at(-1);
      console.log(
        `${name} ${backend} (${instructionSet}) ${dtype}: ${digits(median(times.old))} → ${digits(median(times.new))} ms a step; ` +
          `ratio ${middle.toFixed(3)}, 95 % ${interval.map((end) => end.toFixed(3)).join(" to ")}`,
      );
    }
  }
}
const rows = results.map((one) => [
  `${one.name} ${one.backend} ${one.dtype}`,
  one.median.toFixed(3),
  ...one.interval.map((end) => end.toFixed(3)),
]);
console.log(`\n${textTable([["new / old", "median", "from", "to"], ...rows])}`);
if (values.json !== undefined)
  writeFileSync(String(values.json), JSON.stringify({ machine: about, rounds, results }, null, 1));
if (results.some(({ interval }) => interval[1] >= limit)) process.exitCode = 1;
