/**
 * Counts how often the 95% interval of `evaluate --against` is correct. The interval of a stretch of a text should
 * contain the difference on the whole text for 95 of 100 stretches.
 *
 *     node bench/intervals.mjs --text book=novels.txt [--text code=tsc.txt …] [--folder FOLDER] [--lengths 8,16,32,64,128,256,400]
 *                              [--stretches 200] [--steps 400] [--tokenizer char] [--seed 1] [--characters 4000000]
 *
 * Two models, one with one layer and one with two layers, are trained on a tenth of a text. This tenth consists of
 * pieces of 4,000 characters from all parts of the text. So every part of the remaining text is about equally near to a
 * piece. Both models are measured once on the remaining text. Then the benchmark draws stretches (consecutive windows)
 * at random places: --stretches stretches of each length. A stretch must be short compared with the text, so a text
 * should have several megabytes.
 * Losses in --folder are not measured again; without --folder nothing is saved.
 * `node bench/texts.mjs FOLDER --only novels-4m,code-6m,prose-5m` makes three texts.
 */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { evaluate, loadPretrained, train } from "../dist/index.js";
import { coverageOf, estimators } from "./lib/interval-coverage.mjs";
import { machine, machineLine } from "./lib/machine.mjs";
import { refuse, wholeNumber } from "./lib/options.mjs";
import { textTable } from "./lib/statistics.mjs";

const { values } = parseArgs({
  options: {
    text: { type: "string", multiple: true, default: [] },
    folder: { type: "string" },
    lengths: { type: "string", default: "8,16,32,64,128,256,400" },
    stretches: { type: "string", default: "200" },
    steps: { type: "string", default: "400" },
    tokenizer: { type: "string", default: "char" },
    seed: { type: "string", default: "1" },
    characters: { type: "string", default: "4000000" },
    help: { type: "boolean", default: false },
  },
});
if (values.help) {
  const [comment] = readFileSync(fileURLToPath(import.meta.url), "utf8").split(" */");
  console.log(comment.replace(/^\/?\*+ ?|^ \* ?/gmu, "").trim());
  process.exit();
}
if (values.text.length === 0) refuse("--text: must name a text, for example book=novels.txt");
const texts = values.text.map((given) => {
  const [, name, file] = /^([^=]+)=(.+)$/u.exec(given) ?? refuse(`--text: must be NAME=FILE; got ${given}`);
  return { name, file };
});
const lengths = values.lengths.split(",").map((length) => wholeNumber("lengths", length));
const [stretches, steps, seed, characters] = ["stretches", "steps", "seed", "characters"].map((flag) =>
  wholeNumber(flag, values[flag]),
);
const tokenizers = { char: { kind: "char" }, bpe: { kind: "bpe", vocabSize: 1024 } };
const tokenizer = tokenizers[values.tokenizer] ?? refuse(`--tokenizer: must be char or bpe; got ${values.tokenizer}`);

const contextLength = 128;
const models = {
  one: { contextLength, nLayer: 2, nHead: 4, nEmbd: 128, mlp: { kind: "swiglu", hidden: 344 } },
  other: { contextLength, nLayer: 1, nHead: 2, nEmbd: 64, mlp: { kind: "swiglu", hidden: 176 } },
};
const piece = 4000;

/** Every tenth piece is for training. The remaining text keeps only characters that occur in these pieces. */
const partsOf = (text) => {
  const pieces = Array.from({ length: Math.ceil(text.length / piece) }, (_, i) =>
    text.slice(i * piece, (i + 1) * piece),
  );
  const learned = pieces.filter((_, i) => i % 10 === 0).flat();
  const known = new Set(learned);
  const rest = pieces.filter((_, i) => i % 10 !== 0).flat();
  return { learned: learned.join(""), rest: rest.filter((character) => known.has(character)).join("") };
};

/** Trains a model and returns its losses on the windows of the remaining text. */
const lossesOf = async (name, model, { learned, rest }, folder) => {
  const [data, out] = [join(folder, "learned.txt"), join(folder, `run-${name}-${values.tokenizer}`)];
  writeFileSync(data, learned);
  const plan = { steps, batchSize: 16, evalInterval: steps, sampleTokens: 0, seed };
  const config = { tokenizer, model: models[model], train: plan };
  for await (const event of train({ data, preset: "shakespeare", config, out, finalSampleTokens: 0 })) {
    if (event.type === "done")
      console.log(`${name}, ${model}: ${event.valLoss.toFixed(3)} nats per token after ${steps} steps`);
  }
  const lm = await loadPretrained(join(out, "best"));
  const { windows } = await evaluate(lm, { text: rest, windows: true });
  await lm.close();
  rmSync(out, { recursive: true });
  return windows;
};

const measuredOf = async ({ name, file }, folder) => {
  const kept = join(folder, `${name}-${values.tokenizer}.json`);
  if (existsSync(kept)) return JSON.parse(readFileSync(kept, "utf8"));
  const parts = partsOf([...readFileSync(file, "utf8").slice(0, characters)]);
  const losses = {};
  for (const model of Object.keys(models)) losses[model] = await lossesOf(name, model, parts, folder);
  writeFileSync(kept, JSON.stringify(losses));
  return losses;
};

const share = (covered, count) => (count === 0 ? "–" : `${((100 * covered) / count).toFixed(1)}%`);
const totalOf = (rows, name, field) => rows.reduce((sum, { intervals }) => sum + intervals[name][field], 0);
const shareOf = (rows, name) => share(totalOf(rows, name, "covered"), totalOf(rows, name, "count"));

const names = Object.keys(estimators);
const folder = values.folder ?? mkdtempSync(join(tmpdir(), "foretoken-intervals-"));
mkdirSync(folder, { recursive: true });
try {
  console.log(`${machineLine(machine())}\n`);
  const all = [];
  for (const text of texts) {
    const losses = await measuredOf(text, folder);
    const rows = coverageOf(losses, { lengths, stretches, seed });
    all.push(...rows);
    console.log(
      `\n${text.name}: ${losses.one.length} windows; ${stretches} stretches of each length; share of 95% intervals`,
    );
    console.log(
      textTable([
        ["windows", "intervals", ...names, "half width", "ideal"],
        ...rows.map((row) => [
          String(row.length),
          String(row.intervals[names[0]].count),
          ...names.map((name) => shareOf([row], name)),
          row.intervals[names[0]].halfWidth?.toFixed(4) ?? "–",
          row.ideal.toFixed(4),
        ]),
        ["all", String(totalOf(rows, names[0], "count")), ...names.map((name) => shareOf(rows, name)), "", ""],
      ]),
    );
  }
  console.log(`all texts: ${names.map((name) => `${name} ${shareOf(all, name)}`).join("; ")}`);
} finally {
  if (values.folder === undefined) rmSync(folder, { recursive: true });
}
