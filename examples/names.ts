/**
 * Invents names. The model reads a list of names, letter by letter, and generates names that are not in the list.
 *
 *     npm run example names                              1,717 first names of Europe and its neighbours
 *     npm run example names -- towns.txt --steps 300     a list of your own, one name per line
 *
 * This file makes its own batches: each row is one name. causal-lm.ts explains how a language model learns.
 */
import { existsSync, readFileSync } from "node:fs";
import { basename } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import {
  backward,
  clipFactor,
  createGradients,
  createOptimizer,
  crossEntropyLoss,
  dropoutSource,
  forward,
  freshModel,
  generate,
  inferenceContext,
  languageModel,
  learningRateAt,
  type ModelConfig,
  openBackend,
  presets,
  randomKey,
  randomStream,
  readScalar,
  savePretrained,
  trainCharTokenizer,
  withContext,
} from "foretoken";

const { values: flags, positionals } = parseArgs({
  allowPositionals: true,
  options: { steps: { type: "string", default: "800" }, out: { type: "string" } },
});
// The list is in examples/: next to this file or, if this file is compiled, two folders up.
const ours = ["names.txt", "../../examples/names.txt"].map((path) => fileURLToPath(new URL(path, import.meta.url)));
const [file = ours.find((path) => existsSync(path)) ?? "names.txt"] = positionals;
if (!existsSync(file)) {
  console.error(`names: the list must be a file with one name a line; got no file ${file}`);
  process.exit(2);
}
const lines = readFileSync(file, "utf8").split("\n");
const names = [...new Set(lines.map((line) => line.trim()).filter((line) => line !== ""))];

// Every tenth name is held out. The loss on these names shows whether the model learns how names are built, or only
// memorizes the list.
const isHeldOut = (index: number): boolean => index % 10 === 9;
const known = names.filter((_, index) => !isHeldOut(index));
const heldOut = names.filter((_, index) => isHeldOut(index));
console.log(`${basename(file)}: ${known.length} names to learn from, ${heldOut.length} held out`);

// "\n" is the token before the first letter and after the last letter of a name.
const tokenizer = trainCharTokenizer(`\n${names.join("\n")}`);
const [newline = 0] = tokenizer.encode("\n");
const time = Math.max(...names.map((name) => tokenizer.encode(name).length)) + 1;

/** Rows of x = "\nname", y = "name\n". After the end of a name the target is −1, which the loss ignores. */
const batchOf = (chosen: readonly string[]): { x: Int32Array; y: Int32Array; predictions: number } => {
  const x = new Int32Array(chosen.length * time).fill(newline);
  const y = new Int32Array(chosen.length * time).fill(-1);
  for (const [row, name] of chosen.entries()) {
    x.set(tokenizer.encode(`\n${name}`), row * time);
    y.set(tokenizer.encode(`${name}\n`), row * time);
  }
  return { x, y, predictions: y.filter((target) => target !== -1).length };
};

const seed = 1;
const batchSize = 32;
const plan = { ...presets.shakespeare.train, steps: Number(flags.steps) };
const backend = await openBackend("auto");
const architecture: ModelConfig = {
  ...presets.shakespeare.model,
  ...{ contextLength: time, nLayer: 2, nHead: 4, nEmbd: 64, mlp: { kind: "swiglu", hidden: 176 }, dropout: 0.15 },
};
const model = freshModel(backend, architecture, tokenizer.vocabSize, seed);
const gradients = createGradients(model);
const optimizer = createOptimizer(backend, model.layout, plan.optimizer);

/** Mean loss in nats per letter. */
const measure = async (chosen: readonly string[]): Promise<number> => {
  const { x, y, predictions } = batchOf(chosen);
  const sum = await withContext(inferenceContext(backend), (context) =>
    readScalar(backend, crossEntropyLoss(context, forward(context, model, x, chosen.length, time), y)),
  );
  return sum / predictions;
};

for (let step = 0; step < plan.steps; step++) {
  const random = randomStream(randomKey(seed, "batches", step));
  const chosen = Array.from({ length: batchSize }, () => known[random.integer(known.length)] ?? "");
  const { x, y, predictions } = batchOf(chosen);
  gradients.clear();
  await gradients.record(
    (context) => {
      const sum = crossEntropyLoss(context, forward(context, model, x, batchSize, time), y);
      backward(context, sum, 1 / predictions);
    },
    dropoutSource(randomKey(seed, "dropout", step)),
  );
  const gradScale = clipFactor(await gradients.norm(), plan.maxGradNorm);
  const learningRate = learningRateAt(plan, step);
  optimizer.update({ values: model.arena, gradients: gradients.arena, step: step + 1, learningRate, gradScale });
  if ((step + 1) % Math.ceil(plan.steps / 10) === 0) {
    const [learnt, unseen] = [await measure(known), await measure(heldOut)];
    console.log(
      `step ${step + 1}: loss ${learnt.toFixed(3)} on names it learns, ${unseen.toFixed(3)} on names held out`,
    );
  }
}

// Generate 500 names, each from "\n" to the next "\n".
const lm = languageModel(model, tokenizer);
const written: string[] = [];
for (let i = 0; i < 500; i++) {
  for await (const event of generate(lm, {
    prompt: "\n",
    stop: ["\n"],
    maxNewTokens: time,
    temperature: 0.7,
    seed: i,
  })) {
    if (event.type === "done") written.push(event.text);
  }
}
const different = new Set(written);
const fresh = [...different].filter((name) => !names.includes(name));
const found = [...different].filter((name) => heldOut.includes(name));
console.log(
  `\n${written.length} names generated; ${different.size} different; ${fresh.length} of these are not in the list:`,
);
console.log(fresh.slice(0, 40).join(", "));
if (found.length > 0) console.log(`\nHeld-out names that the model invented again: ${found.join(", ")}`);

if (flags.out !== undefined) {
  await savePretrained(flags.out, lm);
  console.log(`\nSaved in ${flags.out}`);
}
await backend.close();
