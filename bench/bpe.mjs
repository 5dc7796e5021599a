/**
 * Compares character models with byte-level BPE models of several vocabulary sizes. All models have about the same
 * number of parameters. All models train on growing parts of one text. `docs/recipe.md` shows the results, in
 * "Characters or BPE".
 * The first 8 tenths of a part train the model and the BPE merges. The next tenth is for the choice of the weights: the
 * weights with the lowest loss. The loss on the last tenth is the result. Results are in bits per byte, so they can be
 * compared between tokenizers. Every model is trained on the same number of tokens, so every training takes about the
 * same time. In this time, BPE models read more text.
 *
 *     node bench/bpe.mjs --text FILE [--characters 100000,300000,1000000,3000000] [--vocab 512,1024,2048] [--parameters 1000000]
 *                        [--steps 1500] [--seeds 1] [--jobs 2] [--dtype auto] [--results FILE]
 *
 * A training with a result in the results file is not repeated.
 */
import { parseArgs } from "node:util";
import { presets } from "../dist/config/presets.js";
import { modelLayout } from "../dist/models/model.js";
import { machine, machineLine } from "./lib/machine.mjs";
import { namesOf, refuse, wholeNumber } from "./lib/options.mjs";
import { textTable } from "./lib/statistics.mjs";
import { inJobs, resultsIn, trainSetting } from "./lib/text-setting.mjs";

const { values } = parseArgs({
  options: {
    text: { type: "string" },
    characters: { type: "string", default: "100000,300000,1000000,3000000" },
    vocab: { type: "string", default: "512,1024,2048" },
    parameters: { type: "string", default: "1000000" },
    steps: { type: "string", default: "1500" },
    seeds: { type: "string", default: "1" },
    jobs: { type: "string", default: "2" },
    dtype: { type: "string", default: "auto" },
    results: { type: "string" },
  },
});
const { text: file } = values;
if (file === undefined) refuse("--text: must name a text");
const numbersOf = (flag) => values[flag].split(",").map((number) => wholeNumber(flag, number));
const [sizes, vocabs, seeds] = [numbersOf("characters"), numbersOf("vocab"), numbersOf("seeds")];
const wanted = wholeNumber("parameters", values.parameters);
const steps = wholeNumber("steps", values.steps);
const jobs = wholeNumber("jobs", values.jobs);
const [dtype] = namesOf("dtype", values.dtype, ["auto", "float32", "bfloat16"]);
const shares = [0.8, 0.1];

/** Approximate number of different characters in an English text. */
const usualCharacters = 90;

/**
 * A model like the preset `shakespeare`, with heads of 32 channels. The number of parameters is the nearest possible
 * number to `wanted`.
 */
const modelFor = (vocabSize) => {
  const { model } = presets.shakespeare;
  const of = (nLayer, nHead) => {
    const nEmbd = 32 * nHead;
    const hidden = Math.round((nEmbd * 8) / 3 / 8) * 8;
    return { ...model, contextLength: 128, nLayer, nHead, nEmbd, mlp: { kind: "swiglu", hidden }, dropout: 0.1 };
  };
  const candidates = [3, 4, 5, 6].flatMap((nLayer) => [3, 4, 5].map((nHead) => of(nLayer, nHead)));
  const distance = (candidate) => Math.abs(modelLayout(candidate, vocabSize).count - wanted);
  return candidates.reduce((best, candidate) => (distance(candidate) < distance(best) ? candidate : best));
};

const settings = [
  { name: "characters", tokenizer: { kind: "char" }, model: modelFor(usualCharacters) },
  ...vocabs.map((vocabSize) => ({
    name: `BPE ${vocabSize}`,
    tokenizer: { kind: "bpe", vocabSize },
    model: modelFor(vocabSize),
  })),
];
const evalInterval = Math.max(1, Math.round(steps / 10));
const planned = sizes.flatMap((characters) =>
  settings.flatMap(({ name, tokenizer, model }) =>
    seeds.map((seed) => {
      const train = { ...presets.shakespeare.train, steps, batchSize: 16, evalInterval, patience: 3, seed };
      return { characters, setting: name, seed, config: { tokenizer, model, train } };
    }),
  ),
);

console.log(`${machineLine(machine())}\n`);
const results = resultsIn(values.results, ({ characters, config }) => JSON.stringify([characters, config]));
await inJobs(
  jobs,
  planned.filter((plan) => !results.has(plan)),
  async ({ characters, setting, seed, config }) => {
    const trained = await trainSetting({ file, config, shares, threads: 1, dtype, characters });
    results.add({ characters, setting, seed, config, ...trained });
    const { chosen, seconds } = trained;
    console.log(
      `${characters} characters, ${setting}, seed ${seed}: ${chosen.bitsPerByte.toFixed(3)} bits per byte held out, at step ${chosen.step} of ${steps}, in ${seconds.toFixed(0)} s`,
    );
  },
);

const mean = (numbers) => numbers.reduce((sum, number) => sum + number, 0) / numbers.length;
const trainedOf = (characters, setting) =>
  planned.filter((plan) => plan.characters === characters && plan.setting === setting).map((plan) => results.get(plan));
console.log(`\nBits per byte held out, mean of seeds ${seeds.join(", ")}`);
console.log(
  textTable([
    ["setting", "parameters", ...sizes.map(String)],
    ...settings.map(({ name }) => [
      name,
      String(trainedOf(sizes.at(-1), name)[0].parameters),
      ...sizes.map((size) => mean(trainedOf(size, name).map(({ chosen }) => chosen.bitsPerByte)).toFixed(3)),
    ]),
  ]),
);
