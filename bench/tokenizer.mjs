/**
 * Measures the time to train a byte-level BPE and to encode a text, in turn with `tokenizers` (Rust, with its default
 * number of threads) and `tiktoken`:
 *
 *     node bench/tokenizer.mjs [--megabytes 50] [--vocab-size 4096] [--rounds 2] [--python python3] [--text FILE]
 *
 * The text consists of different files of this machine (lib/distinct-text.mjs), or is FILE. The time of training
 * includes reading the file. Every measurement is a separate process, so caches are empty and code is not yet compiled.
 * If a peer is not installed in Python, it is skipped.
 */
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { distinctText } from "./lib/distinct-text.mjs";
import { machine, machineLine } from "./lib/machine.mjs";
import { refuse, wholeNumber } from "./lib/options.mjs";
import { median, textTable } from "./lib/statistics.mjs";

const { values } = parseArgs({
  options: {
    megabytes: { type: "string", default: "50" },
    "vocab-size": { type: "string", default: "4096" },
    rounds: { type: "string", default: "2" },
    python: { type: "string", default: "python3" },
    text: { type: "string" },
  },
});
const rounds = wholeNumber("rounds", values.rounds);
const vocabSize = String(wholeNumber("vocab-size", values["vocab-size"]));
const folder = mkdtempSync(join(tmpdir(), "foretoken-tokenizer-"));
process.on("exit", () => rmSync(folder, { recursive: true }));
const file = join(folder, "text.txt");
const json = join(folder, "tokenizer.json");
if (values.text === undefined) writeFileSync(file, distinctText(1e6 * wholeNumber("megabytes", values.megabytes)));
else copyFileSync(values.text, file);
const { size } = statSync(file);
if (size === 0) refuse("--text: must not be empty");

const peer = (name) => fileURLToPath(new URL(`peers/${name}`, import.meta.url));
const run = (program, args) => JSON.parse(execFileSync(program, args, { encoding: "utf8", maxBuffer: 2 ** 26 }));
/** Undefined if Python or one of its packages is missing. */
const runPython = (...args) => {
  try {
    return run(String(values.python), [peer("tokenizers_bpe.py"), ...args]);
  } catch (error) {
    console.error(
      `left out: ${String(error.stderr ?? error.message)
        .trim()
        .split("\n")
        .at(-1)}`,
    );
    return undefined;
  }
};

console.log(machineLine(machine()));
console.log(`${(size / 1e6).toFixed(1)} MB of text, ${vocabSize} tokens, pattern gpt2, ${rounds} rounds`);
/** @type {Map<string, number[]>} seconds, by the name of the measurement */
const times = new Map();
const note = (name, seconds) => {
  if (seconds !== undefined) times.set(name, [...(times.get(name) ?? []), seconds]);
};
for (let round = 0; round < rounds; round++) {
  const ours = run(process.execPath, [peer("foretoken_tokenizer.mjs"), file, vocabSize, json]);
  note("train: foretoken", ours.train);
  note("train: tokenizers", runPython("train", file, vocabSize)?.train);
  note("encode: foretoken", ours.encode);
  const theirs = runPython("encode", file, json);
  note("encode: tokenizers", theirs?.tokenizers);
  note("encode: tiktoken", theirs?.tiktoken);
  // A peer cuts the text into chunks, so pieces at their borders may differ.
  const near = (tokens) => tokens === undefined || Math.abs(tokens / ours.tokens - 1) < 1e-3;
  if (!near(theirs?.tokenizersTokens) || !near(theirs?.tiktokenTokens)) {
    throw new Error(`numbers of tokens must be equal; got ${JSON.stringify({ ours, theirs })}`);
  }
}
const rows = [...times].map(([name, all]) => {
  const speed = (seconds) => (size / 1e6 / seconds).toFixed(1);
  return [name, median(all).toFixed(2), speed(median(all)), `${speed(Math.max(...all))} to ${speed(Math.min(...all))}`];
});
console.log(textTable([["", "seconds", "MB/s", "MB/s, slowest to fastest"], ...rows]));
