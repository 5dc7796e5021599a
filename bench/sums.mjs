/**
 * Measures the time of Foretoken's sum of gradients over ranks (native/mpi/sharing.h). The bits of this sum do not
 * depend on the number of ranks. Compares it with MPI's own sums, for which MPI chooses the order of additions. In
 * MPI_Allreduce, MPI decides how a rank waits. With MPI_Iallreduce, as in the addon, the rank sleeps while it waits.
 * Each rank is pinned to one core.
 *
 *     node bench/sums.mjs [--megabytes 1,8,43,200] [--ranks 2,4] [--rounds 5] [--json FILE]    as root
 *
 * "sent" counts the bytes that a rank passes to MPI; "over the network" counts the bytes through loopback, including
 * headers and acknowledgements. Both numbers are shares of 2 (N − 1) / N × the bytes of the gradients. Figures are
 * stored in the results file of scaling.mjs. `scaling.mjs --docs` writes the table.
 */
import { mkdirSync } from "node:fs";
import { join, resolve } from "node:path";
import { parseArgs } from "node:util";
import { root } from "../scripts/build/common.mjs";
import { execute } from "../scripts/build/native.mjs";
import { machine, machineLine } from "./lib/machine.mjs";
import { refuse, wholeNumber } from "./lib/options.mjs";
import { resultsFile } from "./lib/results.mjs";
import { median, textTable } from "./lib/statistics.mjs";
import { missing, runRanks } from "./ranks/launch.mjs";
import { readResults, scalingFile, writeResults } from "./ranks/results.mjs";
import { sumCosts, sumRows, sumTitles } from "./ranks/sum-table.mjs";

const { values } = parseArgs({
  options: {
    megabytes: { type: "string", default: "1,8,43,200" },
    ranks: { type: "string", default: "2,4" },
    rounds: { type: "string", default: "5" },
    json: { type: "string" },
  },
});
const numbersOf = (flag) => values[flag].split(",").map((text) => wholeNumber(flag, text));
const [sizes, numbers, rounds] = [numbersOf("megabytes"), numbersOf("ranks"), wholeNumber("rounds", values.rounds)];
const reason = missing();
if (reason !== undefined) refuse(`bench/sums.mjs: ${reason}`);

const folder = join(root, "build/bench");
mkdirSync(folder, { recursive: true });
const peer = join(folder, "allreduce");
await execute(["mpicxx", "-O2", join(root, "bench/ranks/allreduce.cc"), "-o", peer]);
const program = join(root, "bench/ranks/sum-rank.mjs");

/** Number of floats in gradients of about this many megabytes. */
const floatsOf = (megabytes) => Math.round((megabytes * 1e6) / 4);

const measure = async (megabytes, ranks, network) => {
  const floats = floatsOf(megabytes);
  const args = [floats, rounds].map(String);
  const place = { cwd: root, seconds: 300 };
  const { ours, polled } = JSON.parse(await runRanks(ranks, network, [process.execPath, program, ...args], place));
  const blocking = JSON.parse(await runRanks(ranks, network, [peer, ...args], place));
  const needed = ((2 * (ranks - 1)) / ranks) * 4 * floats;
  const milliseconds = (all) => median(all.map((one) => one.milliseconds));
  const wire = (all) => (network.kind === "tcp" ? median(all.map((one) => one.wire)) / ranks / needed : null);
  return {
    ...{ megabytes, ranks, network },
    ...{ ours: milliseconds(ours), polled: milliseconds(polled), blocking: median(blocking) },
    ...{ sent: median(ours.map((one) => one.sent)) / needed, wireOurs: wire(ours), wirePolled: wire(polled) },
  };
};

const about = machine();
console.log(machineLine(about));
console.log(`medians of ${rounds} rounds; one rank per core, more ranks share cores\n`);
const sums = [];
for (const kind of ["memory", "tcp"]) {
  for (const ranks of numbers) {
    for (const megabytes of sizes) {
      sums.push(await measure(megabytes, ranks, { kind, gigabits: null, delayMicroseconds: 0 }));
    }
  }
}
process.stdout.write(textTable([sumTitles, ...sumRows(sums)]));

/** The time of a step of `baby` on one process of this machine, if bench/train.mjs has measured it. */
const baby = (readResults(resultsFile(about)).train?.measurements.find(({ name }) => name === "baby")?.results ?? [])
  .filter(({ kind, dropout }) => kind === "native" && dropout === 0)
  .map(({ dtype, milliseconds }) => ({ dtype, milliseconds }));
process.stdout.write(sumCosts(sums, baby));
const file = values.json === undefined ? scalingFile(about) : resolve(values.json);
writeResults(file, { ...readResults(file), machine: about, sums, baby });
