/**
 * Measures the time of each kernel for the shapes that models use. Compares the time with the machine's limits (roofs),
 * which the same benchmark measures. Also measures matrix products of equal shapes in PyTorch (MKL in float32, oneDNN
 * in bfloat16) and OpenBLAS, in turn.
 *
 *     node bench/kernels.mjs [--config book,baby,gpt2,shakespeare,smollm2,decode] [--dtype float32,bfloat16] [--backend native]
 *                            [--python python3] [--no-peers] [--rounds 5] [--milliseconds 30] [--threads 2] [--json FILE]
 *                            [--roof-memory 512]
 *     node bench/kernels.mjs --list         lists the kernels; measures nothing
 *
 * For a configuration, the kernels of a training step of its model are measured. `shakespeare` is the preset with
 * dropout, which uses another optimizer and other kernels. `smollm2` is a fine-tuning step of SmolLM2-135M, and is
 * measured only if --config names it. `decode` is the generation of one token of `book` after half a context. Each call
 * is repeated for --milliseconds in each round, at least three times. --roof-memory is the largest block of memory
 * whose speed is measured, in MiB.
 */
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { openBackend } from "../dist/backend/select.node.js";
import { presets } from "../dist/config/presets.js";
import { configs, runConfig } from "./lib/configs.mjs";
import { settle, startContestant } from "./lib/contestants.mjs";
import { machine, machineLine, roofsLine } from "./lib/machine.mjs";
import { commonOptions, namesOf, refuse, roofOptions, wholeNumber } from "./lib/options.mjs";
import { productOf } from "./lib/products.mjs";
import { distinct, recordDecoding, recordStep, replay } from "./lib/recorded-calls.mjs";
import { measureRoofs, passingTime, peakOf } from "./lib/roofs.mjs";
import { count, digits, median, percent, ratio, textTable } from "./lib/statistics.mjs";

const { values } = parseArgs({
  options: {
    ...commonOptions,
    ...roofOptions,
    config: { type: "string", default: "book,baby,gpt2,shakespeare,decode" },
    dtype: { type: "string", default: "float32,bfloat16" },
    backend: { type: "string", default: "native" },
    "no-peers": { type: "boolean", default: false },
    rounds: { type: "string", default: "5" },
    milliseconds: { type: "string", default: "30" },
    list: { type: "boolean", default: false },
  },
});
const dtypes = namesOf("dtype", values.dtype, ["float32", "bfloat16"]);
const [backendName] = namesOf("backend", values.backend, ["native", "wasm", "reference"]);
const threads = wholeNumber("threads", values.threads);
const roofMemory = wholeNumber("roof-memory", values["roof-memory"]);
const rounds = wholeNumber("rounds", values.rounds);
const milliseconds = Number(values.milliseconds);
if (!(milliseconds > 0)) refuse(`--milliseconds: must be above 0; got ${values.milliseconds}`);

/** Number of different characters in Tiny Shakespeare: the vocabulary size of character models. */
const characters = 65;
const { shakespeare } = presets;
/**
 * A step of fine-tuning SmolLM2-135M with 1,024 tokens.
 * @type {import("../dist/config/config.js").RunConfig}
 */
const smollm2 = {
  ...runConfig("book"),
  model: {
    ...presets["llama-small"].model,
    ...{ contextLength: 1024, nLayer: 30, nHead: 9, nKvHead: 3, nEmbd: 576 },
    mlp: { kind: "swiglu", hidden: 1536 },
  },
  train: { ...runConfig("book").train, batchSize: 1 },
};
/** Functions that record the kernel calls of each configuration. */
const recorders = {
  ...Object.fromEntries(
    Object.entries(configs).map(([name, { vocabSize }]) => [
      name,
      (kind) => recordStep(runConfig(name), vocabSize ?? characters, kind),
    ]),
  ),
  shakespeare: (kind) =>
    recordStep({ ...shakespeare, model: { ...shakespeare.model, dropout: 0.1 } }, characters, kind),
  smollm2: (kind) => recordStep(smollm2, 49_152, kind),
  decode: (kind) => recordDecoding(configs.book.model, characters, kind),
};
const names = namesOf("config", values.config, Object.keys(recorders));

/** Milliseconds of a call: the median over batches of calls. A batch takes long enough for the clock's resolution. */
const timeOf = ({ run }) => {
  const began = performance.now();
  run();
  const first = performance.now() - began;
  const batch = Math.max(1, Math.ceil(0.5 / Math.max(first, 0.001)));
  const times = [];
  const until = performance.now() + milliseconds;
  while (times.length < 3 || performance.now() < until) {
    const start = performance.now();
    for (let i = 0; i < batch; i++) run();
    times.push((performance.now() - start) / batch);
  }
  return median(times);
};

/** The shortest time that the roofs allow, in milliseconds. */
const leastTime = (roofs, dtype, { flops, read, written }, footprint) =>
  Math.max(flops / peakOf(roofs, dtype), passingTime(roofs, footprint, read, written)) / 1e6;

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const startPeers = async () => {
  if (values["no-peers"]) return [];
  const peer = async (name, script, peerDtypes, env) => {
    const one = await startContestant(name, [String(values.python), here(script), String(threads)], env);
    return one === undefined ? [] : [{ ...one, dtypes: peerDtypes }];
  };
  return [
    ...(await peer("pytorch", "peers/pytorch_products.py", ["float32", "bfloat16"])),
    ...(await peer("openblas", "peers/openblas_products.py", ["float32"], { OPENBLAS_NUM_THREADS: String(threads) })),
  ];
};

/** Milliseconds of each call in `calls` in each round: in Foretoken's kernels and, for products, in each peer. */
const measure = async (backend, calls, peers, dtype) => {
  const taking = peers.filter((peer) => peer.dtypes.includes(dtype));
  const products = calls.map((call) => productOf(call));
  const asked = products.filter((product) => product !== undefined);
  const ours = calls.map(() => /** @type {number[]} */ ([]));
  const theirs = calls.map(() => /** @type {Record<string, number[]>} */ ({}));
  const footprints = calls.map(() => 0);
  for (let round = 0; round < rounds; round++) {
    if (taking.length > 0) await settle();
    calls.forEach((call, i) => {
      const replayed = replay(backend, call);
      footprints[i] = replayed.bytes;
      ours[i].push(timeOf(replayed));
      replayed.free();
    });
    for (const { ask } of taking) {
      await settle();
      const { times } = await ask({ products: asked, dtype, milliseconds });
      let at = 0;
      products.forEach((product, i) => {
        if (product === undefined) return;
        for (const [name, time] of Object.entries(times[at++])) {
          theirs[i][name] = [...(theirs[i][name] ?? []), time];
        }
      });
    }
  }
  return calls.map((call, i) => ({
    kernel: call.kernel,
    shape: call.shape,
    product: products[i],
    count: call.count,
    flops: call.flops,
    read: call.read,
    written: call.written,
    footprint: footprints[i],
    milliseconds: median(ours[i]),
    peers: Object.fromEntries(Object.entries(theirs[i]).map(([name, times]) => [name, median(times)])),
  }));
};

/** A peer's time divided by Foretoken's time. Above 1, Foretoken is faster. */
const against = ({ peers, milliseconds: ours }, name) => (peers[name] ?? Number.NaN) / ours;

const tableOf = (results, peerNames) => [
  ["kernel", "calls", "ms", "ms together", "rate", "of the roof", ...peerNames.map((name) => `× ${name}`)],
  ...results.map((result) => {
    const {
      kernel,
      shape,
      product,
      count: calls,
      flops,
      read,
      written,
      milliseconds: time,
      leastMilliseconds,
    } = result;
    const rate = flops > 0 ? `${digits(flops / time / 1e6)} GFLOP/s` : `${digits((read + written) / time / 1e6)} GB/s`;
    const size =
      product === undefined ? shape.split(" ").slice(0, 4).join(" ") : `${product.m}×${product.n}×${product.k}`;
    return [
      `${kernel} ${size}`,
      count(calls),
      digits(time),
      digits(calls * time),
      rate,
      percent((leastMilliseconds ?? Number.NaN) / time),
      ...peerNames.map((name) => (product === undefined ? "" : ratio(against(result, name)))),
    ];
  }),
];

/** The backend is opened in the same way as in training and generation. */
const open = (name, dtype) =>
  openBackend(/** @type {"native" | "wasm" | "reference"} */ (backendName), {
    threads,
    dtype: /** @type {"float32" | "bfloat16"} */ (dtype),
    manyRows: name !== "decode",
  });
/** Capabilities of a backend that is opened for this dtype. For a list of the kernels, any backend is sufficient. */
const kindOf = async (name, dtype) => {
  if (values.list) return { dtype, activations: "float32", tiles: null };
  const backend = await open(name, dtype);
  await backend.close();
  return backend.capabilities;
};

const plans = await Promise.all(
  names.flatMap((name) =>
    dtypes.map(async (dtype) => ({ name, dtype, calls: distinct(await recorders[name](await kindOf(name, dtype))) })),
  ),
);
const covered = [...new Set(plans.flatMap(({ calls }) => calls.map(({ kernel }) => kernel)))].sort();
if (values.list) {
  for (const kernel of covered) console.log(kernel);
} else {
  const about = machine();
  console.log(machineLine(about));
  const measurements = [];
  let roofs;
  let peers = [];
  for (const { name, dtype, calls } of plans) {
    const backend = await open(name, dtype);
    const { instructionSet } = backend.capabilities;
    if (measurements.length === 0) {
      roofs = await measureRoofs(instructionSet, threads, roofMemory);
      if (roofs !== undefined) console.log(`${instructionSet}, ${threads} threads: ${roofsLine(roofs)}`);
      peers = await startPeers();
      for (const peer of peers) console.log(`${peer.name}: ${peer.about.version}`);
    }
    const measured = await measure(backend, calls, peers, dtype);
    await backend.close();
    const results = measured.map((result) => ({
      ...result,
      leastMilliseconds: roofs === undefined ? undefined : leastTime(roofs, dtype, result, result.footprint),
    }));
    measurements.push({ name, dtype, backend: backendName, instructionSet, results });
    const peerNames = [...new Set(results.flatMap((result) => Object.keys(result.peers)))];
    const total = results.reduce((sum, { milliseconds: time, count: times }) => sum + time * times, 0);
    console.log(`\n${name}, ${dtype}, ${backendName}: ${digits(total)} ms in kernels; medians of ${rounds} rounds\n`);
    process.stdout.write(textTable(tableOf(results, peerNames)));
  }
  for (const peer of peers) await peer.end();
  if (typeof values.json === "string") {
    const versions = Object.fromEntries(peers.map(({ name, about: { version } }) => [name, version]));
    const all = { machine: about, threads, roofs, versions, measurements };
    writeFileSync(values.json, `${JSON.stringify(all, null, 2)}\n`);
  }
}
