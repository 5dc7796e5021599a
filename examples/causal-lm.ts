/**
 * A causal language model from beginning to end. Read this file from the top, then run it:
 *
 *     npm run example causal-lm                                  in a clone of Foretoken
 *     npm run example causal-lm -- --data my.txt --steps 500     with your own text
 *
 * You can copy this file into another project with foretoken (`npx foretoken init node` makes such a project). There,
 * run it with `node causal-lm.ts` (Node 22.18 or later). Without `--data` it downloads Tiny Shakespeare.
 */
import { parseArgs } from "node:util";
import {
  backward,
  clipFactor,
  createGradients,
  createOptimizer,
  crossEntropyLoss,
  evaluationWindows,
  forward,
  freshModel,
  generate,
  inferenceContext,
  languageModel,
  learningRateAt,
  loadCorpus,
  openBackend,
  presets,
  type RunConfig,
  randomKey,
  randomStream,
  readScalar,
  train,
  trainCharTokenizer,
  trainingBatch,
  withContext,
} from "foretoken";

const flags = parseArgs({ options: { data: { type: "string" }, steps: { type: "string", default: "800" } } }).values;

// 1. The text and its tokens. A model computes with numbers, so every distinct character gets a number, its id. The
//    last tenth of the text is held out. The model is never trained on this part, so it cannot memorize it.
const corpus = await loadCorpus(flags.data);
const tokenizer = trainCharTokenizer(corpus.train, corpus.val);
const trainIds = tokenizer.encode(corpus.train);
const heldOutIds = tokenizer.encode(corpus.val);
console.log(`1. ${corpus.name}: ${trainIds.length} characters to learn from, ${heldOutIds.length} held out;`);
console.log(`   ${tokenizer.vocabSize} distinct characters, so ids from 0 to ${tokenizer.vocabSize - 1}.`);

// 2. Shifted pairs. The text itself contains the right answers: the next tokens. Take T + 1 tokens. x has all tokens
//    except the last one. y has all tokens except the first one. Then y[t] is the token that follows x[0], …, x[t].
const recipe = presets.shakespeare; // a configuration to start from; this example uses a smaller model, which trains faster
const config: RunConfig = {
  ...recipe,
  model: { ...recipe.model, contextLength: 64, nLayer: 2, nEmbd: 64, mlp: { kind: "swiglu", hidden: 176 } },
  train: { ...recipe.train, steps: Number(flags.steps), batchSize: 16 },
};
const { contextLength } = config.model; // T: number of tokens that the model can see
const { steps, batchSize, seed } = config.train;
const stretch = trainIds.subarray(0, contextLength + 1);
const x = stretch.slice(0, -1);
const y = stretch.slice(1);
const show = (ids: Int32Array): string => JSON.stringify(tokenizer.decode(ids));
console.log(`\n2. The first 5 of ${x.length} pairs:`);
for (let t = 0; t < 5; t++) console.log(`   after ${show(x.subarray(0, t + 1))} comes ${show(y.subarray(t, t + 1))}`);

// 3. A small model: a transformer. The weights of the model are random at first.
const backend = await openBackend("auto"); // computes with C++ kernels, compiled for this CPU or to WebAssembly
const model = freshModel(backend, config.model, tokenizer.vocabSize, seed);
const lm = languageModel(model, tokenizer);
console.log(`\n3. A transformer of ${config.model.nLayer} blocks, ${model.layout.count} weights, on ${backend.name}.`);

// 4. One forward pass. Input: all of x. Output: the logits, T rows of V numbers. Row t scores each token as the next one
//    after x[0], …, x[t]. Each row is a prediction, and y has the right answers. So one pass gives T examples.
const { data: logits, shape } = await lm.logits(x);
const [T, V] = shape;
console.log(`\n4. One pass over ${x.length} tokens gives logits [${T}, ${V}]: ${T} examples.`);

// 5. Cross-entropy. Softmax turns scores into probabilities. The loss of a prediction is −ln of the probability of the
//    right token. It is 0 if this probability is 1. An untrained model gives each token 1/V, so its loss is ln V.
const softmax = (scores: Float32Array, temperature = 1): number[] => {
  const highest = Math.max(...scores); // this number is subtracted, so that exp cannot overflow; the probabilities stay the same
  const weights = Array.from(scores, (score) => Math.exp((score - highest) / temperature));
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return weights.map((weight) => weight / sum);
};
const rowOf = (data: Float32Array, t: number): Float32Array => data.subarray(t * V, (t + 1) * V);
const lossAt = (t: number, target: number): number => -Math.log(softmax(rowOf(logits, t))[target] ?? 0);
const untrained = y.reduce((sum, target, t) => sum + lossAt(t, target), 0) / T;
console.log(
  `\n5. Loss before training: ${untrained.toFixed(3)}. A model that knows nothing: ln ${V} = ${Math.log(V).toFixed(3)}.`,
);

// 6. Training. A step takes B windows from random positions of the text. The forward pass computes their loss. The
//    backward pass computes the gradients by the chain rule. The optimizer changes each weight to reduce the loss.
const gradients = createGradients(model); // one gradient per weight
const optimizer = createOptimizer(backend, model.layout, config.train.optimizer); // here Muon; another optimizer is AdamW
const losses: number[] = [];
console.log("\n6. Training. Mean loss since the previous line:");
for (let step = 0; step < steps; step++) {
  const batch = trainingBatch(trainIds, { batchSize, contextLength, seed, step }); // x and y, [B, T] each
  gradients.clear();
  const loss = await gradients.record(async (context) => {
    const scores = forward(context, model, batch.x, batch.rows, batch.time); // logits, [B, T, V]
    const sum = crossEntropyLoss(context, scores, batch.y); // sum of the losses of all B·T predictions
    const mean = (await readScalar(backend, sum)) / batch.y.length;
    backward(context, sum, 1 / batch.y.length); // fills `gradients` with the gradients of the mean loss
    return mean;
  });
  const gradScale = clipFactor(await gradients.norm(), config.train.maxGradNorm); // clipping: limits the size of a step
  const learningRate = learningRateAt(config.train, step); // learning rate: the size of the step; it falls towards the end
  optimizer.update({ values: model.arena, gradients: gradients.arena, step: step + 1, learningRate, gradScale });
  losses.push(loss);
  const every = Math.ceil(steps / 10);
  if (losses.length % every === 0) {
    const mean = losses.slice(-every).reduce((sum, one) => sum + one, 0) / every;
    console.log(`   step ${losses.length}: ${mean.toFixed(3)}`);
  }
}

// 7. Evaluation: the loss on the held-out text. The model predicts each token once. No gradients are needed.
let total = 0;
for (const { x, y, rows, time } of evaluationWindows(heldOutIds, { contextLength, batchSize: 64 })) {
  total += await withContext(inferenceContext(backend), (context) =>
    readScalar(backend, crossEntropyLoss(context, forward(context, model, x, rows, time), y)),
  );
}
const heldOut = total / (heldOutIds.length - 1);
console.log(
  `\n7. Loss on held-out text: ${heldOut.toFixed(3)} nats per character: the model is as uncertain as if it had to choose`,
);
console.log(`   among ${Math.exp(heldOut).toFixed(1)} equally likely characters; before training, among ${V}.`);

// 8. The causal mask. Position t must not see its answer, x[t + 1]. So if the token at position k changes, all logits
//    before position k stay the same.
const k = Math.floor(T / 2);
const before = (await lm.logits(x)).data;
const after = (await lm.logits(x.with(k, x[k] === 0 ? 1 : 0))).data;
const firstChanged = Math.floor(before.findIndex((score, i) => score !== after[i]) / V);
console.log(`\n8. With another token at ${k}, the first row of logits to change is row ${firstChanged}.`);

// 9. Generation: predict, draw, append, repeat. A temperature below 1 makes likely tokens likelier.
const random = randomStream(randomKey(seed, "sampling"));
const draw = (probabilities: readonly number[]): number => {
  let left = random.uniform(); // a random number between 0 and 1; each token has an interval with the length of its probability
  for (const [id, probability] of probabilities.entries()) {
    left -= probability;
    if (left < 0) return id;
  }
  return probabilities.length - 1;
};
const ids = [...tokenizer.encode(corpus.prompt)];
process.stdout.write(`\n9. ${corpus.prompt}`);
for (let count = 0; count < 300; count++) {
  const { data, shape } = await lm.logits(ids.slice(-contextLength)); // crop: the model can see only the last T tokens
  const next = draw(softmax(rowOf(data, shape[0] - 1), 0.8)); // the last row predicts the next token
  ids.push(next);
  process.stdout.write(tokenizer.decode([next]));
}

// 10. Two functions of the library do the work of parts 1 to 9. train() is part 6: the same seed gives the same losses.
console.log("\n\n10. train() gives the losses of the loop above, to the bit:");
for await (const event of train({ data: flags.data, preset: "shakespeare", config, out: null, backend })) {
  if (event.type === "step") console.log(`    there ${event.loss}, here ${losses[event.step - 1]}`);
  if (event.type === "step" && event.step === Math.min(3, steps)) break; // three steps are enough for this comparison
}
process.stdout.write(`    generate() continues any prompt:\n    ${corpus.prompt}`);
for await (const event of generate(lm, { prompt: corpus.prompt, maxNewTokens: 100, temperature: 0.8 })) {
  if (event.type === "token") process.stdout.write(event.text);
}
console.log();
await backend.close();
