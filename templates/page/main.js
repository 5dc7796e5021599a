// Trains a model on the text of the page, and writes with it. Change what you like: page.js has the rest.
import { loadInWorker, train } from "foretoken/browser";
import { backend, onTrain, onWrite, showTraining, showWriting } from "./page.js";

const model = backend === "wasm" ? {} : { nLayer: 1, nHead: 2, nEmbd: 32, contextLength: 32 };
const config = { model, train: { steps: 400, evalInterval: 50, sampleTokens: 60 } };
let lm;

onTrain(async (text, signal) => {
  const saved = {};
  const onCheckpoint = (files, which) => {
    saved[which] = files;
  };
  const events = train({ text, preset: "quick", config, backend, onCheckpoint, signal, finalSampleTokens: 0 });
  for await (const event of events) showTraining(event);
  await lm?.close();
  lm = await loadInWorker(saved.best ?? saved.last, { backend });
});

onWrite(async (prompt, signal) => {
  for await (const event of lm.generate({ prompt, maxNewTokens: 200, signal })) showWriting(event);
});
