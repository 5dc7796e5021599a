/**
 * One rank of a run, in a program that uses the library. One of the ranks fails:
 *     mpirun -n 2 node rank.mjs OUT RANK STEP loop|block|slow|throw|nan|backward
 * Rank RANK prints "fails" before it fails. Each error of the run is printed together with its rank. "slow" is not a
 * failure: the first step takes 1 s, and step STEP takes 6 s.
 */
import { writeSync } from "node:fs";
import { openBackend } from "#foretoken/backend/select.node.js";
import { train } from "#foretoken/train/train.node.js";

const [out, failing, step, how] = process.argv.slice(2);
const rank = process.env.OMPI_COMM_WORLD_RANK;
// For a failure in the backward pass, the model is larger. The gradients of this model have several buckets. When the
// rank fails, the ranks are adding some of these buckets.
const size = how === "backward" ? { nLayer: 6, nHead: 4, nEmbd: 256 } : { nLayer: 1, nHead: 2, nEmbd: 8 };
const model = { contextLength: 8, ...size };
const plan = { steps: 100_000, batchSize: 2, gradAccumSteps: 4, evalInterval: 50, checkpointInterval: 5, patience: 0 };
const config = { model, train: { ...plan, sampleTokens: 0 } };

/** Imitates a machine with broken memory. */
let writesNaN = false;
let throwsInBackward = false;
const inner = await openBackend("native", { threads: 1 });
const backend = {
  ...inner,
  run(kernel, args) {
    if (throwsInBackward && kernel === "embeddingBackward") throw new Error("this rank's own");
    inner.run(kernel, args);
    if (writesNaN && kernel === "embeddingForward") inner.run("fill", { y: args.y, n: 1, value: Number.NaN });
  },
};

const block = (seconds) => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1000 * seconds);

const fail = () => {
  writeSync(1, "fails\n");
  if (how === "throw") throw new Error("this rank's own");
  if (how === "nan") writesNaN = true;
  else if (how === "backward") throwsInBackward = true;
  else if (how === "slow") block(6);
  else if (how === "block") block(Number.POSITIVE_INFINITY);
  else for (;;);
};

try {
  for await (const event of train({ mpi: true, data: "text.txt", out, backend, config })) {
    if (rank === failing && how === "slow" && event.type === "step" && event.step === 1) block(1);
    if (rank === failing && event.type === "step" && event.step === Number(step)) fail();
  }
} catch (error) {
  writeSync(2, `foretoken: rank ${rank}: ${error.message}\n`);
  process.exitCode = 1;
}
