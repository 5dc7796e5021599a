// Trains a model on the text of the page, and generates text with it. Change what you like. The rest of the page is in
// page.ts.
import { type CheckpointFiles, loadInWorker, type RunFiles, train, type WorkerModel } from "foretoken/browser";
import { showTraining } from "./figures.ts";
import { backend, keep, onOpen, onTrain, onWrite, showWriting, store } from "./page.ts";

// A browser trains this model in minutes. Fields that are not set here are chosen from the size of the text.
const model =
  backend === "wasm" ? { nLayer: 2, nEmbd: 64, contextLength: 64 } : { nLayer: 1, nEmbd: 32, contextLength: 32 };
const newRun = (steps: number) => {
  const intervals = { evalInterval: Math.ceil(steps / 20), checkpointInterval: 5 };
  return { config: { model, train: { steps, batchSize: 16, ...intervals, sampleTokens: 60 } }, finalSampleTokens: 0 };
};
let loaded: { readonly files: CheckpointFiles; readonly lm: WorkerModel } | undefined;

/** The model of a run. Only one model is loaded at a time. If a new model cannot be loaded, the old model stays. */
const modelOf = async ({ best, last }: Pick<RunFiles, "best" | "last">): Promise<WorkerModel> => {
  const files = best ?? last;
  if (loaded?.files === files) return loaded.lm;
  const lm = await loadInWorker(files, { backend });
  await loaded?.lm.close();
  loaded = { files, lm };
  return lm;
};

onTrain(async (data, steps, begun, signal) => {
  let best = begun?.best;
  const onCheckpoint = async (files: CheckpointFiles, which: "best" | "last"): Promise<void> => {
    if (which === "best") best = files;
    else await keep({ ...data, best, last: files });
  };
  const run = begun === undefined ? newRun(steps) : { resume: begun.last, steps };
  for await (const event of train({ ...data, ...run, backend, onCheckpoint, signal })) {
    if (event.type === "done") await store();
    showTraining(event);
  }
});

onOpen(async (data, steps, { best, last }, signal) => {
  // Before the event "start", `train` has checked everything that it needs to resume the run.
  for await (const { type } of train({ ...data, resume: last, steps, backend, signal })) if (type === "start") break;
  await modelOf({ best, last });
});

onWrite(async (run, prompt, signal) => {
  const lm = await modelOf(run);
  // Another seed gives another text.
  const seed = Math.floor(Math.random() * 2 ** 32);
  for await (const event of lm.generate({ prompt, maxNewTokens: 200, seed, signal })) showWriting(event);
});
