// Trains a model on the text of the page, and writes with it. Change what you like: page.ts has the rest.
import { type CheckpointFiles, loadInWorker, type RunFiles, train, type WorkerModel } from "foretoken/browser";
import { backend, keep, onOpen, onTrain, onWrite, showTraining, showWriting } from "./page.ts";

const model = backend === "wasm" ? {} : { nLayer: 1, nHead: 2, nEmbd: 32, contextLength: 32 };
const config = { model, train: { steps: 400, evalInterval: 50, checkpointInterval: 50, sampleTokens: 60 } };
const newRun = { preset: "quick", config, finalSampleTokens: 0 } as const;
let lm: WorkerModel | undefined;

const open = async ({ best, last }: RunFiles): Promise<void> => {
  await lm?.close();
  lm = await loadInWorker(best ?? last, { backend });
};

onTrain(async (data, begun, signal) => {
  let { best, last } = begun ?? {};
  const onCheckpoint = async (files: CheckpointFiles, which: "best" | "last"): Promise<void> => {
    if (which === "best") best = files;
    else last = files;
    if (which === "last") await keep({ ...data, best, last: files });
  };
  const run = begun === undefined ? newRun : { resume: begun.last, steps: begun.steps };
  for await (const event of train({ ...data, ...run, backend, onCheckpoint, signal })) showTraining(event);
  if (last !== undefined) await open({ best, last });
});

onOpen(open);

onWrite(async (prompt, signal) => {
  if (lm === undefined) return;
  for await (const event of lm.generate({ prompt, maxNewTokens: 200, signal })) showWriting(event);
});
