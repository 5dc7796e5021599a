/**
 * A rank of sums.mjs. Through the addon, it measures the time of Foretoken's sum of gradients and of MPI's own sum, in
 * turn. The rank checks that both sums give the same result. Rank 0 writes a line of JSON.
 *
 *     node sum-rank.mjs FLOATS ROUNDS
 */
import { readFileSync } from "node:fs";
import { loadMpi } from "../../dist/train/ranks/addon.node.js";
import { bucketsOf, ownersOf } from "../../dist/trainer/owners.js";

const [floats, rounds] = process.argv.slice(2).map(Number);
// The version of the addon decides how many arguments its methods have.
const mpi = /** @type {any} */ (loadMpi());
const { rank, size } = await mpi.start();

/** Gradients of one large matrix, divided among the ranks in the same way as in a trainer. */
const layout = /** @type {any} */ ({
  parameters: [{ offset: 0, size: floats, shape: [floats, 1] }],
  decayed: floats,
  length: floats,
});
const buckets = bucketsOf(layout, ownersOf(layout, { kind: "adamw" }, size)).map(({ ranges }) =>
  Float64Array.from(ranges.flatMap(({ from, to, owner }) => [from, to, owner])),
);
const [ours, theirs] = [new Float32Array(floats), new Float32Array(floats)];

/** Bytes that have passed through loopback, from all ranks of this machine, including headers and acknowledgements. */
const wireBytes = () => {
  const line = readFileSync("/proc/self/net/dev", "utf8").match(/^\s*lo:(.*)$/mu)?.[1] ?? "";
  return Number(line.trim().split(/\s+/u)[8] ?? 0);
};

/** Sums of whole numbers are exact, so every order of addition gives the same bits. */
const fillAlike = (array) => {
  for (let i = 0; i < floats; i++) array[i] = (rank + 1) * (1 + (i % 7));
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
  async ours() {
    await Promise.all(buckets.map((ranges) => mpi.reduceScatter(ours, ranges, true)));
    await Promise.all(buckets.map((ranges) => mpi.allGather(ours, ranges, true)));
  },
  polled: () => mpi.allReduce(theirs),
};

const measured = { ours: [], polled: [] };
// The first round is a warm-up.
for (let round = -1; round < rounds; round++) {
  // Every round begins with new values, because each sum makes the values larger, and they would overflow.
  for (const array of [ours, theirs]) fillAlike(array);
  for (const [name, way] of Object.entries(ways)) {
    const one = await timed(way);
    if (round >= 0) measured[name].push(one);
  }
  const unlike = theirs.findIndex((value, i) => value !== ours[i]);
  if (unlike >= 0) throw new Error(`sums must agree; got ${ours[unlike]} and ${theirs[unlike]} at ${unlike}`);
}
if (rank === 0) console.log(JSON.stringify(measured));
await mpi.finalise();
