// Program that must give the same results in all runtimes. runtimes.slow.test.ts executes this file in each runtime, in
// a project that has foretoken. It compares the lines of JSON that this file prints.
//     node runtime-program.mjs FOLDER BACKEND...    trains in FOLDER, which is new
import { createHash } from "node:crypto";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { Worker } from "node:worker_threads";
import { evaluate, generate, loadInWorker, loadPretrained, openBackend, plotRuns, train } from "foretoken";

const [folder, ...backends] = process.argv.slice(2);
const model = { nLayer: 1, nHead: 2, nEmbd: 16, contextLength: 16 };
const settings = { steps: 12, batchSize: 4, evalInterval: 6, sampleTokens: 0, warmupSteps: 2, learningRate: 1e-2 };
/** @type {{ data: string, preset: "quick", finalSampleTokens: number, config: object }} */
const options = { data: "words.txt", preset: "quick", finalSampleTokens: 0, config: { model, train: settings } };

const tell = (what) => console.log(JSON.stringify(what));
const weightsOf = (run) =>
  createHash("sha256")
    .update(readFileSync(`${run}/checkpoint/model.safetensors`))
    .digest("hex");

const lossesOf = async (run) => {
  const losses = [];
  for await (const event of train(run)) if (event.type === "step") losses.push(event.loss);
  return losses;
};

const textOf = async (events) => {
  let text = "";
  for await (const event of events) {
    if (event.type === "token") text += event.text;
    else text += ` (${event.finishReason})`;
  }
  return text;
};

/** The error with which `work` fails, in one line. */
const refusal = (work) =>
  work.then(
    () => "none",
    ({ name, message }) => `${name}: ${message}`.replaceAll(folder, "FOLDER").replaceAll(String(process.pid), "PID"),
  );

/** Trains, evaluates and generates, in a thread and without a thread. */
const results = async (backend) => {
  const out = `${folder}/${backend}`;
  const losses = await lossesOf({ ...options, backend, out });
  const here = await lossesOf({ ...options, backend, out: `${out}-here`, worker: false });
  const opened = await openBackend(backend, { threads: 2, manyRows: true });
  const ownDtype = { ...options, config: { model, train: { ...settings, dtype: "float32" } } };
  const twoThreads = await lossesOf({ ...ownDtype, backend: opened, out: null });
  await opened.close();
  const lm = await loadPretrained(`${out}/checkpoint`, { backend });
  const { natsPerToken } = await evaluate(lm, { data: "words.txt" });
  const text = await textOf(generate(lm, { prompt: "the", maxNewTokens: 12 }));
  await lm.close();
  const inWorker = await loadInWorker(`${out}/checkpoint`, { backend });
  const same = await textOf(inWorker.generate({ prompt: "the", maxNewTokens: 12 }));
  const controller = new AbortController();
  const stopped = inWorker.generate({ prompt: "the", maxNewTokens: 1e6, signal: controller.signal });
  let reason = "";
  for await (const event of stopped) {
    if (event.type === "token") controller.abort();
    else reason = event.finishReason;
  }
  await inWorker.close();
  return {
    ...{ backend, losses, weights: weightsOf(out), natsPerToken, text, stopped: reason, twoThreads },
    ...{ isSameHere: String(here) === String(losses) && weightsOf(`${out}-here`) === weightsOf(out) },
    isSameInWorker: same === text,
  };
};

/**
 * A signal stops a run, and the run is then resumed. Also checks which process may work in the run's folder before the
 * stop.
 */
const stopAndResume = async () => {
  const out = `${folder}/stopped`;
  /** @type {{ resume: string, backend: "wasm" }} */
  const again = { resume: out, backend: "wasm" };
  const controller = new AbortController();
  let reason = "";
  let others = "";
  for await (const event of train({ ...options, backend: "wasm", out, signal: controller.signal })) {
    if (event.type === "step" && event.step === 5) {
      others = await refusal(lossesOf(again));
      controller.abort();
    }
    if (event.type === "done") reason = event.reason;
  }
  const before = weightsOf(out);
  // The program leaves the loop in the middle. So it saves nothing, and the folder can be used again.
  for await (const event of train(again)) if (event.type === "step") break;
  await lossesOf(again);
  return { reason, others, isStopped: before !== weightsOf(out), weights: weightsOf(out) };
};

/** Whether a run's folder can be used again after the run's thread was terminated. */
const isFreeAfterEnd = async () => {
  const out = `${folder}/ended`;
  await lossesOf({ ...options, backend: "wasm", out });
  const steps = 100_000;
  const program = `
    import { parentPort, workerData } from "node:worker_threads";
    const { train } = await import(workerData.module);
    for await (const event of train(workerData.options)) if (event.type === "step") parentPort.postMessage(event.step);`;
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(program)}`), {
    workerData: {
      module: import.meta.resolve("foretoken"),
      options: { resume: out, backend: "wasm", steps, worker: false },
    },
  });
  await once(worker, "message");
  await worker.terminate();
  // Deno closes the files of a thread a moment after the end of the thread.
  for (let attempt = 0; attempt < 50; attempt++) {
    const refused = await refusal(
      (async () => {
        for await (const event of train({ resume: out, backend: "wasm", steps })) if (event.type === "step") break;
      })(),
    );
    if (refused === "none") return true;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return false;
};

for (const backend of backends) tell(await results(backend));
tell(await stopAndResume());
tell({ error: await refusal(lossesOf({ ...options, data: "none.txt", out: `${folder}/none` })) });
const curves = await plotRuns([`${folder}/wasm`]);
tell({ curves: createHash("sha256").update(curves).digest("hex") });
tell({ isFreeAfterEnd: await isFreeAfterEnd() });
