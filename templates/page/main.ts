// Trains a model on the text of the page, and writes with it. Change what you like: page.ts has the rest.
import { type CheckpointFiles, loadInWorker, train, type WorkerModel } from "foretoken/browser";
import { backend, onTrain, onWrite, showTraining, showWriting } from "./page.ts";

const model = backend === "wasm" ? {} : { nLayer: 1, nHead: 2, nEmbd: 32, contextLength: 32 };
const config = { model, train: { steps: 400, evalInterval: 50, sampleTokens: 60 } };
let lm: WorkerModel | undefined;

onTrain(async (text, signal) => {
  const saved: Partial<Record<"best" | "last", CheckpointFiles>> = {};
  const onCheckpoint = (files: CheckpointFiles, which: "best" | "last") => {
    saved[which] = files;
  };
  const events = train({ text, preset: "quick", config, backend, onCheckpoint, signal, finalSampleTokens: 0 });
  for await (const event of events) showTraining(event);
  const files = saved.best ?? saved.last;
  if (files === undefined) return;
  await lm?.close();
  lm = await loadInWorker(files, { backend });
});

onWrite(async (prompt, signal) => {
  if (lm === undefined) return;
  for await (const event of lm.generate({ prompt, maxNewTokens: 200, signal })) showWriting(event);
});
