/**
 * One rank of a run, as a program that uses the library, of which one rank fails:
 * `mpirun -n 2 node rank.mjs OUT RANK STEP hang|throw`. It prints "fails" first.
 */
import { writeSync } from "node:fs";
import { train } from "#foretoken/train/train.node.js";

const [out, rank, step, how] = process.argv.slice(2);
const model = { contextLength: 8, nLayer: 1, nHead: 2, nEmbd: 8 };
const plan = { steps: 100_000, batchSize: 2, gradAccumSteps: 4, evalInterval: 50, checkpointInterval: 5, patience: 0 };
const config = { model, train: { ...plan, sampleTokens: 0 } };
for await (const event of train({ mpi: true, data: "text.txt", out, backend: "native", threads: 1, config })) {
  if (rank !== process.env.OMPI_COMM_WORLD_RANK || event.type !== "step" || event.step !== Number(step)) continue;
  writeSync(1, "fails\n");
  if (how === "throw") throw new Error("this rank's own");
  for (;;);
}
