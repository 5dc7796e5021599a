/**
 * Measures the time of attention with a sliding window, and of attention over all earlier positions, forward and
 * backward, in turn. Below the times, it prints their ratio, and the ratio of the amounts of work. The amount of work
 * is the number of pairs of a query and a key that the query can see.
 *
 *     node bench/windows.mjs [--context 4096] [--window 512] [--heads 8] [--key-heads 8] [--head-dim 64] [--batch 1]
 *                            [--dtype float32,bfloat16] [--backend native] [--rounds 5] [--threads 2]
 *                            [--json FILE]
 */
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { kernelCost } from "../dist/backend/calls/cost.js";
import { openBackend } from "../dist/backend/select.node.js";
import { machine, machineLine } from "./lib/machine.mjs";
import { commonOptions, namesOf, refuse, wholeNumber } from "./lib/options.mjs";
import { replay } from "./lib/recorded-calls.mjs";
import { digits, median, percent, textTable } from "./lib/statistics.mjs";

const { values } = parseArgs({
  options: {
    threads: commonOptions.threads,
    json: commonOptions.json,
    context: { type: "string", default: "4096" },
    window: { type: "string", default: "512" },
    heads: { type: "string", default: "8" },
    "key-heads": { type: "string", default: "8" },
    "head-dim": { type: "string", default: "64" },
    batch: { type: "string", default: "1" },
    dtype: { type: "string", default: "float32,bfloat16" },
    backend: { type: "string", default: "native" },
    rounds: { type: "string", default: "5" },
  },
});
const number = (flag) => wholeNumber(flag, values[flag]);
const [threads, queries, window, rounds] = ["threads", "context", "window", "rounds"].map(number);
const [heads, keyHeads, headDim, batch] = ["heads", "key-heads", "head-dim", "batch"].map(number);
if (heads % keyHeads !== 0) refuse(`--key-heads: must divide --heads; got ${keyHeads} and ${heads}`);
const dtypes = namesOf("dtype", values.dtype, ["float32", "bfloat16"]);
const [backendName] = namesOf("backend", values.backend, ["native", "wasm"]);

/**
 * A call of attention with this window, on storages of these types. q, k and v are parts of one array, like in
 * training.
 */
const callOf = (kernel, activations, size) => {
  const [width, keyWidth] = [heads * headDim, keyHeads * headDim];
  const stride = width + 2 * keyWidth;
  const storage = (dtype, length) => ({ dtype, length });
  const parts = (names) => {
    const packed = storage(activations, batch * queries * stride);
    return Object.fromEntries(
      names.map((name, i) => [name, { storage: packed, offset: [0, width, width + keyWidth][i] }]),
    );
  };
  const dense = () => ({ storage: storage(activations, batch * queries * width), offset: 0 });
  const logSumExp = { storage: storage("float32", batch * heads * queries), offset: 0 };
  const buffers = { ...parts(["q", "k", "v"]), out: dense(), logSumExp, kept: null, segments: null };
  const more =
    kernel === "attentionForward" ? { pages: null, pageCount: 0 } : { dOut: dense(), ...parts(["dq", "dk", "dv"]) };
  const args = {
    ...buffers,
    ...more,
    ...{ batch, queries, start: 0, heads, keyHeads, headDim, rows: 0, keyRows: 0, causal: 1, window: size },
    ...{ queryStride: stride, queryBatchStride: queries * stride, keyStride: stride, keyBatchStride: queries * stride },
    ...{ key0: 0, key1: 0, key2: 0, key3: 0, site: 0, p: 0, scale: 1 / Math.sqrt(headDim) },
  };
  const { flops } = kernelCost(kernel, /** @type {never} */ (args));
  return { kernel, args, contents: new Map(), flops, read: 0, written: 0 };
};

/** Medians of the times of some calls, in milliseconds. */
const timesOf = (backend, calls) => {
  const replayed = calls.map((call) => replay(backend, call));
  const times = calls.map(() => /** @type {number[]} */ ([]));
  for (let round = -1; round < rounds; round++) {
    replayed.forEach(({ run }, i) => {
      const began = performance.now();
      run();
      // The first call is a warm-up.
      if (round >= 0) times[i].push(performance.now() - began);
    });
  }
  for (const { free } of replayed) free();
  return times.map(median);
};

const about = machine();
console.log(machineLine(about));
const measurements = [];
for (const dtype of dtypes) {
  const backend = await openBackend(/** @type {"native" | "wasm"} */ (backendName), {
    threads,
    dtype: /** @type {"float32" | "bfloat16"} */ (dtype),
  });
  const { instructionSet, activations } = backend.capabilities;
  const rows = ["attentionForward", "attentionBackward"].map((kernel) => {
    const calls = [0, window].map((size) => callOf(kernel, activations, size));
    const [all, some] = timesOf(backend, calls);
    const products = calls[1].flops / calls[0].flops;
    measurements.push({ dtype, kernel, milliseconds: { all, window: some }, products });
    return [kernel, digits(all), digits(some), percent(some / all), percent(products)];
  });
  await backend.close();
  console.log(
    `\n${dtype}, ${backendName} ${instructionSet}, ${threads} threads: ${queries} positions, window ${window}; medians of ${rounds} rounds\n`,
  );
  process.stdout.write(textTable([["kernel", "all, ms", "window, ms", "of the time", "of the products"], ...rows]));
}
if (typeof values.json === "string")
  writeFileSync(
    values.json,
    `${JSON.stringify({ machine: about, threads, queries, window, measurements }, null, 2)}\n`,
  );
