/**
 * A training step of the same model in TensorFlow.js on its WebAssembly backend, for bench/train.mjs. We wrote this
 * program for the comparison. `npm ci --prefix bench/tfjs` installs its packages.
 * The WebAssembly backend has no kernel for the gradient of a gather, so the embedding is a product with one-hot rows.
 * Products of TensorFlow.js are several times slower with a transposed operand. The gradients of TensorFlow.js use such
 * products, so this program first transposes these operands. In Node the backend has only one thread, because it does
 * not use its build with threads.
 * Usage: tfjs_train.mjs TOKENS JSON
 * TOKENS is a file of int32. JSON: {"config": {"model", "train"}, "vocabSize"}; without dropout.
 */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { peakMemory } from "../lib/peak-memory.mjs";

const load = createRequire(new URL("../tfjs/package.json", import.meta.url));
const tf = load("@tensorflow/tfjs");
const { getThreadsCount, version_wasm: version } = load("@tensorflow/tfjs-backend-wasm");

const [tokensFile, json] = process.argv.slice(2);
const { config, vocabSize: V } = JSON.parse(json);
const { model, train } = config;
const { contextLength: T, nEmbd: C, nHead: H, nLayer, bias, mlp } = model;
const B = train.batchSize;
const bytes = readFileSync(tokensFile);
const tokens = new Int32Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
await tf.setBackend("wasm");

const swapped = (x) => tf.transpose(x, [...Array(x.rank - 2).keys(), x.rank - 1, x.rank - 2]);
const product = tf.customGrad((a, b, save) => {
  save([a, b]);
  const gradFunc = (dy, [left, right]) => [tf.matMul(dy, swapped(right)), tf.matMul(swapped(left), dy)];
  return { value: tf.matMul(a, b), gradFunc };
});

const parameters = [];
const keep = (tensor, name) => {
  const variable = tf.variable(tensor, true, name);
  parameters.push(variable);
  return variable;
};
const matrix = (name, rows, columns) => keep(tf.randomNormal([rows, columns], 0, model.initStd, "float32", 1), name);
const vector = (name, length, value) => keep(tf.fill([length], value), name);
const linear = (name, inputs, outputs, hasBias) => {
  const w = matrix(`${name}.w`, inputs, outputs);
  const b = hasBias ? vector(`${name}.b`, outputs, 0) : null;
  return (x) => (b === null ? product(x, w) : tf.add(product(x, w), b));
};
const layerNorm = (name) => {
  const gamma = vector(`${name}.gamma`, C, 1);
  const beta = vector(`${name}.beta`, C, 0);
  return (x) => {
    const { mean, variance } = tf.moments(x, -1, true);
    const normalised = tf.mul(tf.sub(x, mean), tf.rsqrt(tf.add(variance, model.norm.eps)));
    return tf.add(tf.mul(normalised, gamma), beta);
  };
};
const gelu = (x) => {
  if (mlp.approximate === "none") return tf.mul(tf.mul(x, 0.5), tf.add(tf.erf(tf.mul(x, Math.SQRT1_2)), 1));
  const inner = tf.mul(tf.add(x, tf.mul(tf.mul(tf.mul(x, x), x), 0.044715)), Math.sqrt(2 / Math.PI));
  return tf.mul(tf.mul(x, 0.5), tf.add(tf.tanh(inner), 1));
};

const unseen = tf.keep(
  tf.tensor(
    Float32Array.from({ length: T * T }, (_, i) => (i % T > Math.floor(i / T) ? -1e9 : 0)),
    [1, 1, T, T],
  ),
);
const heads = (x) => tf.transpose(tf.reshape(x, [B, T, H, C / H]), [0, 2, 1, 3]); // [B, H, T, D]
const attention = (name) => {
  const qkv = linear(`${name}.qkv`, C, 3 * C, bias.qkv);
  const projection = linear(`${name}.projection`, C, C, bias.projection);
  return (x) => {
    const [q, k, v] = tf.split(qkv(x), 3, 1).map(heads);
    const scores = tf.add(tf.mul(product(q, swapped(k)), (C / H) ** -0.5), unseen);
    const mixed = product(tf.softmax(scores), v);
    return projection(tf.reshape(tf.transpose(mixed, [0, 2, 1, 3]), [B * T, C]));
  };
};

const embedding = matrix("tokens", V, C);
const positions = matrix("positions", T, C);
const blocks = Array.from({ length: nLayer }, (_, i) => {
  const [norm1, mix, norm2] = [layerNorm(`${i}.norm1`), attention(`${i}.attention`), layerNorm(`${i}.norm2`)];
  const up = linear(`${i}.up`, C, mlp.ratio * C, bias.mlp);
  const down = linear(`${i}.down`, mlp.ratio * C, C, bias.mlp);
  return (x) => {
    const middle = tf.add(x, mix(norm1(x)));
    return tf.add(middle, down(gelu(up(norm2(middle)))));
  };
});
const lastNorm = layerNorm("norm");
const head = model.tieEmbeddings ? (x) => product(x, swapped(embedding)) : linear("head", C, V, false);

const lossOf = (x, y) => {
  const rows = tf.reshape(product(tf.oneHot(x, V), embedding), [B, T, C]); // [B, T, C]
  let hidden = tf.reshape(tf.add(rows, positions), [B * T, C]);
  for (const block of blocks) hidden = block(hidden);
  return tf.losses.softmaxCrossEntropy(tf.oneHot(y, V), head(lastNorm(hidden)));
};

const { beta1, beta2, eps, weightDecay } = train.optimizer;
const optimizer = tf.train.adam(train.learningRate, beta1, beta2, eps);
const matrices = parameters.filter(({ shape }) => shape.length === 2);

/** @returns the loss, nats per token */
const step = () =>
  tf.tidy(() => {
    const x = new Int32Array(B * T);
    const y = new Int32Array(B * T);
    for (let row = 0; row < B; row++) {
      const from = Math.floor(Math.random() * (tokens.length - T));
      x.set(tokens.subarray(from, from + T), row * T);
      y.set(tokens.subarray(from + 1, from + T + 1), row * T);
    }
    const { value, grads } = tf.variableGrads(() => lossOf(tf.tensor1d(x, "int32"), tf.tensor1d(y, "int32")));
    const squares = Object.values(grads).map((gradient) => tf.sum(tf.square(gradient)));
    const factor = tf.minimum(tf.div(train.maxGradNorm, tf.sqrt(tf.addN(squares))), 1);
    const clipped = Object.fromEntries(
      Object.entries(grads).map(([name, gradient]) => [name, tf.mul(gradient, factor)]),
    );
    for (const variable of matrices) variable.assign(tf.mul(variable, 1 - train.learningRate * weightDecay));
    optimizer.applyGradients(clipped);
    return value.dataSync()[0];
  });

const count = parameters.reduce((sum, { size }) => sum + size, 0);
console.log(JSON.stringify({ version, threads: getThreadsCount(), parameters: count }));
for await (const line of createInterface({ input: process.stdin })) {
  const { steps } = JSON.parse(line);
  const milliseconds = [];
  const losses = [];
  for (let i = 0; i < steps; i++) {
    const began = performance.now();
    losses.push(step());
    milliseconds.push(performance.now() - began);
  }
  console.log(JSON.stringify({ milliseconds, losses, peakMemory: peakMemory() }));
}
process.exit(0);
