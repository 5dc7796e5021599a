/**
 * A rank of sums.mjs: times our sum of gradients and MPI's own through the addon, in turn, and checks that both agree. Rank 0
 * writes a line of JSON.
 *
 *   node sum-rank.mjs FLOATS ROUNDS
 */
import { readFileSync } from "node:fs";
import { openBackend } from "../../dist/backend/select.node.js";
import { loadMpi } from "../../dist/train/ranks/addon.node.js";
import { sumOverRanks } from "../../dist/train/ranks/tree-sum.js";

const [floats, rounds] = process.argv.slice(2).map(Number);
const mpi = loadMpi();
const joined = await mpi.start();
const backend = await openBackend("native", { dtype: "float32", threads: 1 });
const storage = backend.alloc("float32", floats);
const array = new Float32Array(floats);

/** Bytes that have gone through loopback: of all ranks of this machine, headers and answers too. */
const wireBytes = () => {
  const line = readFileSync("/proc/self/net/dev", "utf8").match(/^\s*lo:(.*)$/mu)?.[1] ?? "";
  return Number(line.trim().split(/\s+/u)[8] ?? 0);
};

const fillAlike = () => {
  for (let i = 0; i < floats; i++) array[i] = (joined.rank + 1) * (1 + (i % 7));
  backend.write(storage, array);
};

const timed = async (work) => {
  await mpi.barrier();
  const [wire, sent] = [wireBytes(), mpi.sent().bytes];
  const began = performance.now();
  await work();
  const milliseconds = performance.now() - began;
  await mpi.barrier();
  return { milliseconds, wire: wireBytes() - wire, sent: mpi.sent().bytes - sent };
};

const ways = {
  ours: () => sumOverRanks(joined, mpi.exchange, backend, storage),
  polled: () => mpi.allReduce(array),
};

fillAlike();
await ways.ours();
await ways.polled();
const summed = await backend.read(storage, 0, floats);
const unlike = array.findIndex((value, i) => value !== summed[i]);
if (unlike >= 0) throw new Error(`sums must agree; got ${summed[unlike]} and ${array[unlike]} at ${unlike}`);
const measured = { ours: [], polled: [] };
for (let round = 0; round < rounds; round++) {
  for (const [name, way] of Object.entries(ways)) {
    // Values grow with each sum, and would overflow.
    fillAlike();
    measured[name].push(await timed(way));
  }
}
if (joined.rank === 0) console.log(JSON.stringify(measured));
backend.free(storage);
await backend.close();
await mpi.finalise();
